"""Checks of what an environment of gymnasium gives back: its interface, its observations, its rewards."""

import functools
import logging
import tomllib

import gymnasium
import numpy as np

from kit.errors import KitError, SettingError

log = logging.getLogger("kit")

# Steps that are looked at; after them the environment is stepped as if nothing were in between.
_STEPS = 100
# What `gymnasium.make` takes itself, and how it is set here.
_RESERVED = {
    "id": "data.environment",
    "max_episode_steps": "data.time_limit",
    "render_mode": "`kit predict --video`",
    "disable_env_checker": "nothing",
}
# The most channels of an image whose channels stand first.
_MOST_CHANNELS = 4


def arguments_of(texts):
    """Returns the arguments of an environment's class by name, given texts such as `size=5`.

    Values are numbers, `true`, `false`, lists and quoted texts as in TOML; anything else is a text as it stands.

    Raises:
        SettingError: a text is no `name=value`, or names what has a setting of its own.
    """
    found = {}
    for text in texts:
        name, equals, value = (part.strip() for part in text.partition("="))
        if not equals or not name.isidentifier():
            raise SettingError("environment_arguments", f"expected name=value, such as size=5, got {text!r}")
        if name in found:
            raise SettingError("environment_arguments", f"{name!r} is given more than once")
        if name in _RESERVED:
            raise SettingError("environment_arguments", f"{name!r} is not an argument here; expected {_RESERVED[name]}")
        try:
            found[name] = tomllib.loads(f"value = {value}")["value"]
        except (tomllib.TOMLDecodeError, ValueError):
            found[name] = value
    return found


class Checked(gymnasium.Wrapper):
    """Environment whose first steps are looked at: a mistake in its class becomes one line that names it.

    Observations of other spaces than Box are looked at in every step, since a number that is none of theirs would be
    taken for another one.
    """

    def __init__(self, env, name):
        super().__init__(env)
        self.name, self.left = name, _STEPS
        self.always = not isinstance(env.observation_space, gymnasium.spaces.Box)

    def reset(self, **how):
        try:
            result = self.env.reset(**how)
        except TypeError as error:
            if "seed" in str(error) or "options" in str(error):
                raise KitError(f"{self.name}: its reset takes no seed; expected {_RESET}") from None
            raise
        if not (isinstance(result, tuple) and len(result) == 2 and isinstance(result[1], dict)):
            raise KitError(f"{self.name}: its reset returned {_shape_of(result)}; expected {_RESET}")
        self._look(result[0])
        return result

    def step(self, action):
        result = self.env.step(action)
        if not (isinstance(result, tuple) and len(result) == 5):
            raise KitError(f"{self.name}: its step returned {_shape_of(result)}; expected {_STEP}")
        observation, reward = result[:2]
        self._look(observation)
        if np.ndim(reward) or np.asarray(reward).dtype.kind not in "biuf":
            shown = f"of shape {np.shape(reward)}" if np.ndim(reward) else repr(reward)
            raise KitError(f"{self.name}: gave a reward {shown}; expected one number")
        self.left -= 1
        if self.left <= 0 and not self.always:
            self.step = self.env.step
        return result

    def _look(self, observation):
        """Raises KitError for an observation that is not one of the environment's space."""
        space = self.env.observation_space
        if not isinstance(space, gymnasium.spaces.Box):
            if not space.contains(observation):
                shown = " ".join(repr(observation).split())[:80]
                raise KitError(
                    f"{self.name}: gave the observation {shown}; expected one of {' '.join(str(space).split())[:80]}"
                )
            return
        array = np.asarray(observation)
        if array.shape != space.shape:
            raise KitError(f"{self.name}: gave an observation of shape {array.shape}; its space has {space.shape}")
        if space.dtype.kind in "uib":
            as_whole_numbers(array, space.dtype, self.name)
        is_inside = bool(np.all((array >= space.low) & (array <= space.high)))
        if not is_inside and np.isfinite(array).all():
            _say_once(f"{self.name} gives observations outside of its space; they are used as they are")


_RESET = "(observation, information) for reset(seed=..., options=...), as gymnasium has it since 0.26"
_STEP = "(observation, reward, terminated, truncated, information), as gymnasium has it since 0.26"


def _shape_of(result):
    """Returns in words what a function returned."""
    return f"{len(result)} values" if isinstance(result, tuple) else f"one {type(result).__name__}"


def as_whole_numbers(array, dtype, name):
    """Returns observations as whole numbers of a type; raises KitError where they are others, or too large for it."""
    limits = (0, 1) if np.dtype(dtype).kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    is_whole = array.dtype.kind in "uib" or (array.dtype.kind == "f" and np.array_equal(array, np.rint(array)))
    if not is_whole or (array.size and (array.min() < limits[0] or array.max() > limits[1])):
        value = array[(array < limits[0]) | (array > limits[1]) | (array != np.rint(array))].ravel()[0]
        raise KitError(
            f"{name}: gave the number {value:.6g} in an observation; its space promises whole numbers, "
            f"{limits[0]} to {limits[1]} ({np.dtype(dtype)})"
        )
    return array.astype(dtype)


def checked(environment, name):
    """Returns an environment with `Checked` around the innermost part of it, the environment's own class."""
    if not isinstance(environment, gymnasium.Wrapper):
        return Checked(environment, name)
    inner = environment
    while isinstance(inner.env, gymnasium.Wrapper):
        inner = inner.env
    inner.env = Checked(inner.env, name)
    return environment


def check_observations(space, name):
    """Raises SettingError for spaces whose observations make neither a vector nor an image."""
    shown = " ".join(str(space).split())
    shown = shown if len(shown) <= 80 else f"{shown[:80]}..."
    if not space.is_np_flattenable:
        raise SettingError(
            "environment",
            f"{name!r} has observations of {shown}, of no fixed length; expected numbers (Box) or choices",
        )
    if isinstance(space, gymnasium.spaces.Dict | gymnasium.spaces.Tuple):
        parts = space.spaces.items() if isinstance(space, gymnasium.spaces.Dict) else enumerate(space.spaces)
        for key, part in parts:
            _check_part(part, name, key)


def _check_part(space, name, key):
    """Raises SettingError where a part of an observation is an image, which would lose its shape beside the others."""
    if isinstance(space, gymnasium.spaces.Dict | gymnasium.spaces.Tuple):
        check_observations(space, name)
    elif isinstance(space, gymnasium.spaces.Box) and (len(space.shape) >= 3 or _is_plane(space)):
        raise SettingError(
            "environment",
            f"{name!r} has an image, {space.shape}, among its observations as {key!r}; expected an image alone or "
            "vectors alone: wrap the environment so that it gives one of them",
        )


def _is_plane(space):
    return len(space.shape) == 2 and space.dtype == np.uint8


def has_channels_first(shape):
    """Tells whether an image's channels come before its height and width: few numbers first, and many last."""
    return len(shape) == 3 and shape[0] <= _MOST_CHANNELS < min(shape[1:])


def with_channels_last(environment, name):
    """Returns an environment of images (channels, height, width) as one of images (height, width, channels)."""
    space = environment.observation_space
    low, high = np.moveaxis(space.low, 0, -1), np.moveaxis(space.high, 0, -1)
    _say_once(f"{name} has images of shape {space.shape}: the channels are first, and are put last")
    return gymnasium.wrappers.TransformObservation(
        environment,
        lambda image: np.moveaxis(np.asarray(image), 0, -1),
        gymnasium.spaces.Box(low, high, dtype=space.dtype),
    )


def say_range(space, name):
    """Logs that images are not of the usual numbers, which a network for images divides by."""
    highest = space.high.max(initial=0)
    if len(space.shape) >= 3 and space.dtype.kind == "f" and highest <= 1:
        _say_once(f"{name} has images of numbers up to {highest:g}; backbone.highest={highest:g} tells the network")


@functools.cache
def _say_once(message):
    """Logs a message unless it was logged before: every copy of an environment would say it again."""
    log.info("environment: %s", message)
