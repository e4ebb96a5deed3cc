"""Scaling of a window of a time series by itself, so that one network fits series of any level and size."""

from keras import ops

from kit.errors import check

LOCATIONS = ("last", "mean", "none")


def window_scaling(values, location="last", least=1e-6):
    """Returns what is subtracted from the values of each window, and what they are divided by then.

    Salinas, Flunkert, Gasthaus and Januschowski, "DeepAR: Probabilistic Forecasting with Autoregressive Recurrent
    Networks", 2017 (division); Zeng, Chen, Zhang and Xu, "Are Transformers Effective for Time Series Forecasting?",
    2022 (the last value is subtracted).

    Args:
        values: The past of each example.
        location: What is subtracted: the "last" value, the "mean", or nothing ("none").
        least: Smallest divisor. Above it that is the mean distance from the mean; with "none" the mean absolute value.

    Shape:
        values: (batch, time)
        out: (batch, 1) twice

    Raises:
        SettingError: an unknown location.
    """
    check(location in LOCATIONS, "scaling", location, " or ".join(map(repr, LOCATIONS)))
    mean = ops.mean(values, axis=1, keepdims=True)  # (batch, 1)
    if location == "none":
        subtracted, distance = ops.zeros_like(mean), ops.abs(values)
    else:
        subtracted = values[:, -1:] if location == "last" else mean
        distance = ops.abs(values - mean)
    return subtracted, ops.maximum(ops.mean(distance, axis=1, keepdims=True), least)


def repeated_season(values, season, horizon):
    """Returns the last season of each window, repeated over the horizon: the seasonal naive forecast.

    Args:
        values: The past of each example.
        season: Steps of a season, at most those of the past; 1 repeats the last value.
        horizon: Steps that are forecast.

    Shape:
        values: (batch, time)
        out: (batch, horizon)
    """
    time = values.shape[1]
    return ops.take(values, [time - season + step % season for step in range(horizon)], axis=1)
