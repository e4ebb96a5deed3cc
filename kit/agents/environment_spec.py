"""Environment specification: an environment of gymnasium by name, wrapped so that it gives vectors or images."""

import dataclasses
import math
import os

import numpy as np

from kit.config import check_may_import
from kit.errors import KitError, SettingError, check, guess

_EXTRA = 'pip install ".[games]"'
# Namespace of an environment to the module that registers it, and its package.
_REGISTERED_BY = {"ALE": ("ale_py", "ale-py"), "MinAtar": ("minatar.gym", "minatar")}


@dataclasses.dataclass(frozen=True)
class EnvironmentSpec:
    """Environment by name, how it is wrapped, and the actions that an agent can take.

    Args:
        environment, time_limit, frame_stack: As in `kit.agents.options.EnvironmentOptions`.
        is_numbered: Take environments only whose actions are numbered (Discrete), as agents need that value each of
            them.
        squash_actions: As in `kit.agents.options.ActionOptions`.
        arguments: Arguments of the environment's class, as `environment_arguments` of `EnvironmentOptions`.
    """

    environment: str
    time_limit: int | None = None
    frame_stack: int = 1
    is_numbered: bool = True
    squash_actions: bool = False
    arguments: tuple[str, ...] = ()

    @classmethod
    def of(cls, options, is_numbered=True, squash_actions=False):
        """Returns the specification for `kit.agents.options.EnvironmentOptions`."""
        return cls(
            options.environment,
            options.time_limit,
            options.frame_stack,
            is_numbered,
            squash_actions,
            tuple(options.environment_arguments),
        )

    def make(self, render_mode=None):
        """Returns the environment, its observations a float32 vector or an image (height, width, channels).

        Args:
            render_mode: What `render` returns: "rgb_array", or None for nothing.

        Raises:
            SettingError: an unknown name, one that would import a module and was not typed now, a package that is
                missing, or a space that cannot be acted in.
        """
        import gymnasium

        from kit.agents import environment_checks as checks

        if render_mode:
            os.environ.setdefault("SDL_VIDEODRIVER", "dummy")  # pictures are drawn in memory, no screen is asked for
        check(self.time_limit is None or self.time_limit >= 1, "time_limit", self.time_limit, "at least 1")
        check(self.frame_stack >= 1, "frame_stack", self.frame_stack, "at least 1")
        module, colon, _ = self.environment.rpartition(":")
        if colon:
            check_may_import(self.environment, module, "environment")
        self._register()
        arguments = checks.arguments_of(self.arguments)
        try:
            environment = gymnasium.make(
                self.environment,
                # Atari's preprocessing skips frames, which this limit would count.
                max_episode_steps=None if self._is_of("ALE") else self.time_limit,
                disable_env_checker=True,
                **({"render_mode": render_mode} if render_mode else {}),
                **({"frameskip": 1} if self._is_of("ALE") else {}),
                **arguments,
            )
            self._check_actions(environment.action_space)
            checks.check_observations(environment.observation_space, self.environment)
            return self._with_arrays(checks.checked(environment, self.environment))
        except KitError:
            raise
        except gymnasium.error.DependencyNotInstalled as error:
            reason = " ".join(str(error).split())[:120]
            raise SettingError("environment", f"{self.environment!r} lacks a package ({reason}); {_EXTRA}") from None
        except ModuleNotFoundError as error:
            problem = f"{self.environment!r} lacks the module {error.name!r}"
            if module and error.name in (None, module.partition(".")[0]):
                problem = f"unknown name {self.environment!r}: no module is called {module!r}"
            raise SettingError("environment", problem) from None
        except gymnasium.error.UnregisteredEnv:
            hint = guess(self.environment, list(gymnasium.registry))
            raise SettingError("environment", f"unknown name {self.environment!r}{hint}") from None
        except Exception as error:  # environments raise anything
            reason = " ".join(str(error).split())[:200]
            hint = ""
            if isinstance(error, TypeError) and "argument" in reason:
                hint = "; data.environment_arguments are those of its class, such as [size=5]"
            raise SettingError("environment", f"{self.environment!r} cannot be made: {reason}{hint}") from None

    def _is_of(self, namespace):
        """Tells whether the environment is of a namespace, such as "ALE"."""
        return self.environment.rpartition(":")[2].startswith(f"{namespace}/")

    def _check_actions(self, space):
        """Raises SettingError unless actions are numbered, or vectors with bounds where those are taken."""
        import gymnasium

        if isinstance(space, gymnasium.spaces.Discrete):
            check(not self.squash_actions, "squash_actions", True, "false: the environment's actions are numbered")
            return
        problem = None
        if not isinstance(space, gymnasium.spaces.Box) or space.dtype.kind != "f":
            problem = "expected numbered actions (Discrete)" + ("" if self.is_numbered else " or vectors (Box)")
        elif self.is_numbered:
            problem = (
                "and DQN chooses among numbered ones; expected a recipe that learns a policy "
                "(actor_critic or policy_gradient)"
            )
        elif not math.prod(space.shape):
            problem = "which are empty; expected at least one number in an action"
        elif not np.isfinite(np.float32(space.high) - np.float32(space.low)).all():
            problem = "without bounds; expected a lowest and a highest value of each number"
        if problem:
            shown = " ".join(str(space).split())
            shown = shown if len(shown) <= 80 else f"{shown[:80]}..."
            raise SettingError("environment", f"{self.environment!r} has actions of {shown}, {problem}")

    def _register(self):
        """Registers environments that gymnasium's own registry lacks."""
        import importlib

        import gymnasium

        name = self.environment.rpartition(":")[2]
        module, package = _REGISTERED_BY.get(name.partition("/")[0], (None, None))
        if module is None:
            return
        try:
            registering = importlib.import_module(module)
        except ImportError:
            raise SettingError(
                "environment", f"{self.environment!r} needs {package}, which is not installed; {_EXTRA}"
            ) from None
        if package == "minatar":
            if name not in gymnasium.registry:
                registering.register_envs()
        else:
            gymnasium.register_envs(registering)

    def _with_arrays(self, environment):
        """Returns an environment whose observations are vectors, or images with the channels last."""
        import gymnasium
        from gymnasium import wrappers

        from kit.agents import environment_checks as checks

        if self._is_of("ALE"):
            try:
                environment = wrappers.AtariPreprocessing(environment)
            except gymnasium.error.DependencyNotInstalled:
                raise SettingError(
                    "environment", f"{self.environment!r} needs opencv-python-headless, not installed; {_EXTRA}"
                ) from None
            if self.time_limit:
                environment = wrappers.TimeLimit(environment, self.time_limit)
        if self._is_of("MinAtar"):
            environment = _without_last_action(environment)
        if not isinstance(environment.observation_space, gymnasium.spaces.Box):
            environment = wrappers.FlattenObservation(environment)
        if checks.has_channels_first(environment.observation_space.shape):
            environment = checks.with_channels_last(environment, self.environment)
        space = environment.observation_space
        checks.say_range(space, self.environment)
        stack, rank = self.frame_stack, len(space.shape)
        check(stack == 1 or rank >= 2, "frame_stack", stack, "1 where observations are no images")
        if stack > 1:
            environment = wrappers.FrameStackObservation(environment, stack)
        kind = "uint8" if space.dtype in (np.uint8, np.bool_) else "float32"
        height_width = space.shape[:2]
        shape = space.shape or (1,)
        if rank == 2 or stack > 1:
            shape = (*height_width, stack * (space.shape[2] if rank == 3 else 1))

        def arranged(observation):
            array = np.asarray(observation)
            if kind == "uint8" and array.dtype != kind:
                array = checks.as_whole_numbers(array, space.dtype, self.environment)
            array = array.astype(kind, copy=False)
            if stack > 1:  # (stack, height, width, ...)
                array = np.moveaxis(array, 0, 2)
            return array.reshape(shape)

        if rank == 1 and space.dtype == np.float32:
            return environment
        low, high = (0, 255) if kind == "uint8" else (-np.inf, np.inf)
        return wrappers.TransformObservation(environment, arranged, gymnasium.spaces.Box(low, high, shape, kind))


def _without_last_action(environment):
    """Returns a MinAtar environment whose last action, which it repeats at times, does not outlive a reset."""
    import gymnasium

    class WithoutLastAction(gymnasium.Wrapper):
        def reset(self, *, seed=None, options=None):
            self.unwrapped.game.last_action = 0
            return super().reset(seed=seed, options=options)

    return WithoutLastAction(environment)


def actions_of(environment):
    """Returns the number of actions, or of numbers in one action, and whether actions are such vectors (continuous)."""
    space = environment.action_space
    is_continuous = not hasattr(space, "n")
    return (math.prod(space.shape) if is_continuous else int(space.n)), is_continuous
