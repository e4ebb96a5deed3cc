"""Which environment of gymnasium to act in: made by name, its spaces checked, its observations vectors or images."""

import dataclasses
import math
import os

import numpy as np

from kit.errors import KitError, SettingError, check, guess

_EXTRA = 'pip install ".[games]"'
# Namespace of an environment to the module that registers it, and its package.
_REGISTERED_BY = {"ALE": ("ale_py", "ale-py"), "MinAtar": ("minatar.gym", "minatar")}


@dataclasses.dataclass(frozen=True)
class Place:
    """Which environment to act in.

    Args:
        environment: Name that gymnasium knows, such as `CartPole-v1`; `module:Name-v0` imports the module first.
        time_limit: Steps after which an episode is cut; None leaves the environment's own limit.
        frame_stack: Latest images that make one observation.
        is_numbered: Take environments only whose actions are numbered, as agents need that value each of them.
        squash_actions: Bring actions that are vectors into their bounds by tanh; else they are clipped.
    """

    environment: str
    time_limit: int | None = None
    frame_stack: int = 1
    is_numbered: bool = True
    squash_actions: bool = False

    def make(self, render_mode=None):
        """Returns the environment, its observations a float32 vector or an image (height, width, channels).

        Args:
            render_mode: What `render` returns: "rgb_array", or None for nothing.

        Raises:
            SettingError: an unknown name, a package that is missing, or a space that cannot be acted in.
        """
        import gymnasium

        if render_mode:
            os.environ.setdefault("SDL_VIDEODRIVER", "dummy")  # pictures are drawn in memory, no screen is asked for
        check(self.time_limit is None or self.time_limit >= 1, "time_limit", self.time_limit, "at least 1")
        check(self.frame_stack >= 1, "frame_stack", self.frame_stack, "at least 1")
        self._register()
        try:
            made = gymnasium.make(
                self.environment,
                # Atari's preprocessing skips frames, which this limit would count.
                max_episode_steps=None if self._is_of("ALE") else self.time_limit,
                disable_env_checker=True,
                **({"render_mode": render_mode} if render_mode else {}),
                **({"frameskip": 1} if self._is_of("ALE") else {}),
            )
            self._check_actions(made.action_space)
            return self._observing(made)
        except KitError:
            raise
        except gymnasium.error.DependencyNotInstalled as error:
            reason = " ".join(str(error).split())[:120]
            raise SettingError("environment", f"{self.environment!r} lacks a package ({reason}); {_EXTRA}") from None
        except ModuleNotFoundError as error:
            module = self.environment.rpartition(":")[0]
            problem = f"{self.environment!r} lacks the module {error.name!r}"
            if module and error.name in (None, module.partition(".")[0]):
                problem = f"unknown name {self.environment!r}: no module is called {module!r}"
            raise SettingError("environment", problem) from None
        except gymnasium.error.UnregisteredEnv:
            hint = guess(self.environment, list(gymnasium.registry))
            raise SettingError("environment", f"unknown name {self.environment!r}{hint}") from None
        except Exception as error:  # environments raise anything
            reason = " ".join(str(error).split())[:200]
            raise SettingError("environment", f"{self.environment!r} cannot be made: {reason}") from None

    def _is_of(self, namespace):
        """Returns whether the environment is of a namespace, such as "ALE"."""
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
        """Makes environments known that gymnasium's own registry lacks."""
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

    def _observing(self, made):
        """Returns an environment whose observations are vectors, or images with the channels last."""
        import gymnasium
        from gymnasium import wrappers

        if self._is_of("ALE"):
            try:
                made = wrappers.AtariPreprocessing(made)
            except gymnasium.error.DependencyNotInstalled:
                raise SettingError(
                    "environment", f"{self.environment!r} needs opencv-python-headless, not installed; {_EXTRA}"
                ) from None
            if self.time_limit:
                made = wrappers.TimeLimit(made, self.time_limit)
        if self._is_of("MinAtar"):
            made = _forgetful(made)
        if not isinstance(made.observation_space, gymnasium.spaces.Box):
            made = wrappers.FlattenObservation(made)
        space = made.observation_space
        stack, rank = self.frame_stack, len(space.shape)
        check(stack == 1 or rank >= 2, "frame_stack", stack, "1 where observations are no images")
        if stack > 1:
            made = wrappers.FrameStackObservation(made, stack)
        kind = "uint8" if space.dtype in (np.uint8, np.bool_) else "float32"
        height_width = space.shape[:2]
        shape = space.shape or (1,)
        if rank == 2 or stack > 1:
            shape = (*height_width, stack * (space.shape[2] if rank == 3 else 1))

        def arranged(observation):
            array = np.asarray(observation, kind)
            if stack > 1:  # (stack, height, width, ...)
                array = np.moveaxis(array, 0, 2)
            return array.reshape(shape)

        if rank == 1 and space.dtype == np.float32:
            return made
        low, high = (0, 255) if kind == "uint8" else (-np.inf, np.inf)
        return wrappers.TransformObservation(made, arranged, gymnasium.spaces.Box(low, high, shape, kind))


def _forgetful(made):
    """Returns an environment of MinAtar whose last action, which it repeats at times, does not outlive a reset."""
    import gymnasium

    class Forgetful(gymnasium.Wrapper):
        def reset(self, *, seed=None, options=None):
            self.unwrapped.game.last_action = 0
            return super().reset(seed=seed, options=options)

    return Forgetful(made)


def actions_of(made):
    """Returns how many actions an environment has, or how many numbers are in one, and whether it is the latter."""
    space = made.action_space
    is_continuous = not hasattr(space, "n")
    return (math.prod(space.shape) if is_continuous else int(space.n)), is_continuous
