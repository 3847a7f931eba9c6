"""A model with known parameters as the place where the data of an exercise come from."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayescausal.model.source.code import model_source
from bayescausal.model.structure.read import structure_of
from bayescausal.simulation.simulate import simulate
from bayescausal.types import DataError, ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pymc as pm

__all__ = ["ModelWorld"]


@dataclass(frozen=True, eq=False)
class ModelWorld:
    """A model with known parameters, as the place where data come from."""

    teachers: pm.Model
    truth: Mapping[str, Any]

    @property
    def columns(self) -> pd.DataFrame:
        """The columns that the model holds as data, from which rows are drawn."""
        dims = structure_of(self.teachers).unit_dims
        held = self.teachers.named_vars_to_dims
        own = [each for each in self.teachers.data_vars if held.get(each.name) == dims]
        return pd.DataFrame({each.name: each.get_value() for each in own})

    def simulate(self, units: int, seed: int) -> pd.DataFrame:
        """Return a table of units, all variables in it."""
        rows = self.columns if len(self.columns) else None
        table = simulate(self.teachers, self.truth, units=units, data=rows, seed=seed)
        return table.reset_index(drop=table.index.nlevels == 1)

    def model(self, variables: Sequence[str]) -> pm.Model:
        """Return the model; what is not among `variables` has no column, and is latent."""
        return self.teachers

    def recipe(self) -> dict[str, Any]:
        """Return the model as code, with its parameters and its data, for a file."""
        try:
            source = model_source(self.teachers)
        except ModelError as error:
            raise DataError(
                f"The model cannot be written to a file: {error}",
                remedy="Keep make_exercise in a script of your own, and give out data sets: "
                "hand_out(students, folder).",
            ) from error
        names = re.findall(r"^#   (\S+): ", source, re.M)
        lost = [name for name in names if name not in self.teachers.named_vars]
        if lost:
            raise DataError(
                f"The model holds a long array without a name ({lost[0]}).",
                expected="long arrays as pm.Data.",
            )
        held = {name: self.teachers[name].get_value().tolist() for name in names}
        plain = {name: np.asarray(value).tolist() for name, value in self.truth.items()}
        return {"source": source, "data": held, "truth": plain}
