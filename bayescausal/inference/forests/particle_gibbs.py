r"""Forests beside any likelihood: the particle Gibbs sampler of PyMC-BART, one step of a chain.

Each step grows some of the trees anew from the root, all else given, by conditional sequential
Monte Carlo [1]_: particles are trees, weighted by the density of everything that reads the forest.
The engine (package bartrs, in Rust) is PyMC-BART's; the step around it is ours, for the sake of
what a forest in a graph needs:

* each chain has its own random numbers (as PyMC-BART runs it, all chains share one seed);
* a step that serves several chains one after the other begins each afresh;
* the density has every factor that reads the forest, empty cells of the outcome included;
* columns in which values repeat are split at their values. As "ContinuousSplit" the engine adds
  noise to them and then splits *within* a value: what it records is then no function of the
  covariates. Its "OneHotSplit" takes thresholds, :math:`x \\le s`, at the values as they are;
* each chain leaves its forests in a file of its own, all of them, in the order of its draws.

References
----------
.. [1] B. Lakshminarayanan, D. M. Roy and Y. W. Teh, Particle Gibbs for Bayesian additive regression
   trees, *AISTATS* 2015.
"""

from __future__ import annotations

import importlib
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pymc.step_methods.arraystep import ArrayStepShared

from bayescausal.model.forests.packed import LEAF, Tree, pack, stacked
from bayescausal.types import ModelError

if TYPE_CHECKING:
    import pymc as pm

    from bayescausal.annotations import Array
    from bayescausal.model.forests.prior import Shape

__all__ = ["ParticleGibbs", "engine", "stored_forests"]

#: Depth for which there is room, at least: the engine stops at a tree that is deeper.
DEEP = 10
#: What a leaf asks, in the arrays of the engine.
_NONE = 2**32 - 1


def engine() -> Any:
    """Return the engine of PyMC-BART, or say how to get it."""
    try:
        importlib.import_module("pymc_bart")
        return importlib.import_module("bartrs.bartrs")
    except ImportError as error:
        raise ModelError(
            "This model has a forest beside a likelihood that PyMC-BART draws, which is not "
            "installed.",
            remedy="Install it: pip install 'bayescausal[forests]'.",
        ) from error


class _Seen:
    """A model whose likelihood is every factor that reads one variable."""

    def __init__(self, model: pm.Model, name: str) -> None:
        self._model = model
        reads = {name}
        for rv in (*model.basic_RVs, *model.potentials):
            if rv.name != name and _reads(rv, model[name]):
                reads.add(str(rv.name))
        self._read = [model[n] for n in sorted(reads - {name})]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    @property
    def datalogp(self) -> Any:
        """The log-density of what reads it."""
        return self._model.logp(vars=self._read)


def _reads(rv: Any, variable: Any) -> bool:
    """Whether the equation of a variable names another one, not by way of a third."""
    stack, seen = list(rv.owner.inputs), set()
    while stack:
        top = stack.pop()
        if top is variable:
            return True
        if top in seen or top.owner is None:
            continue
        seen.add(top)
        if not hasattr(top.owner.op, "ndim_supp"):
            stack.extend(top.owner.inputs)
    return False


class ParticleGibbs(ArrayStepShared):
    """One forest's step.

    Parameters
    ----------
    model : pm.Model
        In which the value of the forest at the data, `name`, is a free vector.
    name : str
    shape : Shape
    x : ndarray, shape (n, p)
    folder : str
        Where each chain leaves its forests.
    num_particles : int
    batch : (float, float)
        Share of the trees that is grown anew in a step, while tuning and after.
    """

    name = "particle_gibbs"
    default_blocked = False
    generates_stats = True
    stats_dtypes_shapes: dict[str, tuple[type, list[int]]] = {"tune": (bool, [])}  # noqa: RUF012

    def __init__(
        self,
        model: pm.Model,
        name: str,
        shape: Shape,
        x: Array,
        folder: str,
        *,
        num_particles: int = 10,
        batch: tuple[float, float] = (0.1, 0.1),
    ) -> None:
        self.model, self.forest, self.shape, self.folder = model, name, shape, folder
        self.x = np.asfortranarray(x)
        self.particles, self.batch = num_particles, batch
        self.tune, self.draws, self.done, self.seed = True, 0, 0, 0
        self._compile()
        super().__init__([model.rvs_to_values[model[name]]], self.compiled.shared)

    def _compile(self) -> None:
        engine()
        compiled = importlib.import_module("bartrs.compile_pymc").CompiledPyMCModel
        self.compiled = compiled(_Seen(self.model, self.forest), [self.model[self.forest]])
        if "shared" in vars(self):
            self.shared: dict[str, Any] = {
                str(v.name): value for v, value in self.compiled.shared.items()
            }
        self.sampler: Any = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "compiled": None, "sampler": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._compile()

    def setup_chain(self, rng: Any, tune: int, draws: int) -> None:
        """Begin a chain: its own random numbers, no trees."""
        self.rng = np.random.default_rng(rng)
        self.tune, self.draws, self.done = tune > 0, draws, 0
        rust = engine()
        n, p = self.x.shape
        repeated = [len(np.unique(column)) < n for column in self.x.T]
        settings = rust.PyBartSettings(
            n_trees=self.shape.trees,
            n_particles=self.particles,
            max_depth=_depth(self.shape),
            alpha=self.shape.alpha,
            beta=self.shape.beta,
            sigma=self.shape.leaf,
            n_outputs=1,
            split_prior=np.cumsum(self.shape.weights or (1.0,) * p).tolist(),
            split_rules=["OneHotSplit" if again else "ContinuousSplit" for again in repeated],
            response_rule="constant",
            resampling_rule="systematic",
            batch_tune=self.batch[0],
            batch_post=self.batch[1],
            seed=int(self.rng.integers(2**62)),
            n_draws=draws,
        )
        self.sampler = rust.PySampler.init(
            x=self.x,
            y=_like_outcome(self.shape, n),
            model=self.compiled.get_function_pointer(),
            settings=settings,
        )
        self.sampler.reserve_draws(draws)

    def astep(self, q0: Any) -> tuple[Array, list[dict[str, Any]]]:
        """Grow some trees anew; after the last draw, write the forests of the chain."""
        self.compiled.update_shared_arrays()
        try:
            mean, _ = self.sampler.step(self.tune)
        except BaseException as error:  # what Rust raises is no Exception
            if type(error).__name__ != "PanicException":
                raise
            raise RuntimeError(f"PyMC-BART stopped: {error}") from error
        self.done += not self.tune
        if not self.tune and self.done == self.draws:
            self._write()
        return np.ravel(mean), [{"tune": self.tune}]

    def _write(self) -> None:
        """Put the forest of every draw into a file."""
        trees = [_tree(t) for t in self.sampler.baseline_forest]
        found = []
        for start, new in self.sampler.all_batches:
            for i, tree in enumerate(new):
                trees[(start + i) % len(trees)] = _tree(tree)
            found.append(pack(trees, 0.0))
        np.save(Path(self.folder) / f"{uuid.uuid4().hex}.npy", stacked(found))

    @staticmethod
    def competence(var: Any, has_grad: bool) -> int:
        """Only for forests, to which it is given."""
        return 0


def _tree(heap: Any) -> Tree:
    """Return a tree of the engine, in which the children of i are 2i + 1 and 2i + 2."""
    asked, split, leaf = heap.split_var, heap.split_val, heap.leaf_val
    column: list[int] = []
    value: list[float] = []
    right: list[int] = []
    waiting = [(0, -1)]
    while waiting:
        k, parent = waiting.pop()
        if parent >= 0:
            right[parent] = len(column)
        if k >= len(asked) or asked[k] == _NONE:
            column.append(LEAF)
            value.append(leaf[k])
        else:
            waiting += [(2 * k + 2, len(column)), (2 * k + 1, -1)]
            column.append(asked[k])
            value.append(split[k])
        right.append(0)
    return Tree(np.array(column), np.array(value), np.array(right))


def _like_outcome(shape: Shape, n: int) -> Array:
    """Return numbers with the mean and the spread of the prior: the engine's scale of leaves."""
    steps = np.linspace(-1, 1, n) if n > 1 else np.zeros(n)
    return np.asarray(shape.constant + shape.spread * steps / (steps.std() or 1.0))


def _depth(shape: Shape) -> int:
    """Return how deep trees may grow: as PyMC-BART has it, or to where the engine keeps room."""
    return max(int((shape.alpha / 0.01) ** (1 / shape.beta) - 1), DEEP)


def stored_forests(folder: str) -> list[Array]:
    """Return the forests of each chain that has ended: (draw, k), chains in no order."""
    return [np.load(path) for path in sorted(Path(folder).glob("*.npy"))]
