"""Nine exercises: the ways in which an analysis goes wrong, each with a hidden truth.

================== =========================================================================
fork               a common cause: adjust for it
chain              a mediator: leave it alone when the total effect is asked
collider           a common effect: leave it alone
m_bias             a covariate from before the treatment that must be left alone
front_door         a hidden common cause, and a mediator that it does not touch
instrument         a hidden common cause, and a cause of the treatment alone
selection          who is seen depends on the treatment
mediator_outcome   a direct effect, with a common cause of mediator and outcome
simpson            a table whose sum says the opposite of its parts
================== =========================================================================

The numbers of the right and of the wrong analyses are computed from the worlds
(:mod:`bayescausal.datasets.exercise_worlds`), never typed in.

References
----------
.. [1] C. Cinelli, A. Forney and J. Pearl, "A crash course in good and bad controls", Sociological
   Methods & Research 53(3), 2024.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, overload

import pandas as pd

from bayescausal.datasets.exercise import Exercise, made
from bayescausal.datasets.exercise_worlds import TableWorld
from bayescausal.datasets.linear_exercise import exercise_graph, linear_exercise
from bayescausal.datasets.teaching.key import Known, Mistake
from bayescausal.effects.estimands import ATE
from bayescausal.types import DataError, closest

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["exercise"]


@overload
def exercise(name: str) -> Exercise: ...


@overload
def exercise(name: None = None) -> pd.DataFrame: ...


def exercise(name: str | None = None) -> Exercise | pd.DataFrame:
    """Return an exercise by name; without one, the list of them.

    Parameters
    ----------
    name : str, optional
        One of the list. Default: the list itself.

    Returns
    -------
    Exercise or DataFrame
        An exercise has ``text``, ``graph``, ``question``, ``simulate``, ``check`` and ``reveal``.

    Raises
    ------
    DataError
        If there is no such exercise, with the closest names.

    References
    ----------
    C. Cinelli, A. Forney and J. Pearl, "A crash course in good and bad controls", Sociological
    Methods & Research 53(3), 2024.

    Examples
    --------
    >>> import bayescausal as bc
    >>> len(bc.exercise())
    9
    >>> bc.exercise("collider").check(-0.5).verdict
    'fail'
    """
    if name is None:
        made = [build() for build in _EXERCISES.values()]
        return pd.DataFrame(
            {
                "question": [each.question.describe() for each in made],
                "observed": [", ".join(each.observed) for each in made],
                "task": [each.text for each in made],
            },
            index=pd.Index([each.name for each in made], name="exercise"),
        )
    key = str(name).casefold().replace("-", "_").replace(" ", "_")
    if key not in _EXERCISES:
        raise DataError(
            f"{name!r} is not an exercise.",
            names=closest(str(name), _EXERCISES),
            remedy=f"Exercises: {', '.join(_EXERCISES)}.",
        )
    return _EXERCISES[key]()


# ------------------------------------------------------------------------------- private


def _fork() -> Exercise:
    return linear_exercise(
        "fork",
        "Older people eat less salt and have a higher blood pressure. By how much does the "
        "pressure rise with one more unit of salt, for the same person? Columns: age, salt, "
        "pressure (all standardised).",
        {"age": {}, "salt": {"age": -0.8}, "pressure": {"age": 1.0, "salt": 0.5}},
        ("salt", "pressure"),
        [
            (
                "unadjusted",
                (),
                "Age is a common cause of salt and pressure: the path salt <- age -> pressure is "
                "open and mixes with the effect. Adjust for age: let both equations read it.",
            )
        ],
        "Adjust for age, the only common cause.",
    )


def _chain() -> Exercise:
    return linear_exercise(
        "chain",
        "Watering makes plants grow leaves, and leaves make fruit; water also helps fruit "
        "directly. By how much does one more unit of water raise the weight of fruit, all in all? "
        "Columns: water, leaves, fruit.",
        {"water": {}, "leaves": {"water": 0.9}, "fruit": {"water": 0.2, "leaves": 0.7}},
        ("water", "fruit"),
        [
            (
                "mediator-adjusted",
                ("leaves",),
                "Leaves are on the way from water to fruit: holding them blocks a part of the very "
                "effect that is asked for. Let leaves depend on water in the model, or leave them "
                "out.",
            )
        ],
        "The total effect: with leaves as a consequence of water, or without them.",
    )


def _collider() -> Exercise:
    return linear_exercise(
        "collider",
        "Talent helps fame, and so does beauty; does talent change beauty? Here it does, a little. "
        "By how much does beauty change with one more unit of talent? Columns: talent, beauty, "
        "fame.",
        {"talent": {}, "beauty": {"talent": 0.2}, "fame": {"talent": 1.0, "beauty": 1.0}},
        ("talent", "beauty"),
        [
            (
                "collider-adjusted",
                ("fame",),
                "Fame is an effect of both: among people of equal fame, more talent goes with less "
                "beauty. Holding a common effect makes an association that is no effect. Beauty's "
                "equation must not read fame.",
            )
        ],
        "Do not adjust for fame, which comes after both.",
    )


def _m_bias() -> Exercise:
    return linear_exercise(
        "m_bias",
        "A doctor's record of pain, from before treatment, reflects both how anxious a patient is "
        "(which makes treatment likelier) and how ill (which worsens recovery); neither is "
        "recorded. By how much does recovery change with one more unit of treatment? Columns: "
        "record, treatment, recovery.",
        {
            "U_anxiety": {},
            "U_illness": {},
            "record": {"U_anxiety": 1.5, "U_illness": 1.5},
            "treatment": {"U_anxiety": 1.2},
            "recovery": {"treatment": 0.5, "U_illness": -1.2},
        },
        ("treatment", "recovery"),
        [
            (
                "collider-adjusted",
                ("record",),
                "The record comes before the treatment, and is still a common effect, of anxiety "
                "and illness. Holding it opens treatment <- anxiety -> record <- illness -> "
                "recovery. Leave it out.",
            )
        ],
        "Adjust for nothing: the only back-door path is blocked at the record.",
        noise={"record": 0.5},
        hidden=("U_anxiety", "U_illness"),
        variables=("treatment", "recovery"),
    )


def _front_door() -> Exercise:
    return linear_exercise(
        "front_door",
        "Smoking leaves tar in the lungs, and tar harms them; a gene that nobody measured makes "
        "people smoke and harms lungs by itself. By how much does damage rise with one more unit "
        "of smoking? All of its effect goes through tar. Columns: smoking, tar, damage.",
        {
            "U": {},
            "smoking": {"U": 1.0},
            "tar": {"smoking": 0.8},
            "damage": {"tar": 0.5, "U": 1.5},
        },
        ("smoking", "damage"),
        [
            (
                "unadjusted",
                (),
                "The gene is a common cause of smoking and damage, and was not measured: the plain "
                "difference mixes it with the effect. Put it into the model as a latent variable.",
            ),
            (
                "mediator-adjusted",
                ("tar",),
                "Given tar, what is left between smoking and damage is the gene alone: the effect "
                "goes through tar, and holding it blocks all of it.",
            ),
            (
                "confounder dropped",
                lambda world: world.fitted(
                    {"smoking": [], "tar": ["smoking"], "damage": ["tar"]}, "smoking", "damage"
                ),
                "Smoking -> tar -> damage alone, without the gene, mixes the effect of tar with "
                "that of the gene: tar <- smoking <- gene -> damage is open. Put the gene into the "
                "model as a latent variable that smoking and damage read.",
            ),
        ],
        "The front door: the effect of smoking on tar, times that of tar on damage given smoking.",
        hidden=("U",),
        variables=("U", "smoking", "tar", "damage"),
    )


def _instrument() -> Exercise:
    return linear_exercise(
        "instrument",
        "A lottery gives some people vouchers for schooling; ambition, which nobody measured, "
        "drives both schooling and wages. By how much do wages rise with one more unit of "
        "schooling? The voucher does nothing to wages but through schooling. Columns: voucher, "
        "schooling, wage.",
        {
            "U": {},
            "voucher": {},
            "schooling": {"voucher": 2.0, "U": 1.0},
            "wage": {"schooling": 0.3, "U": 0.8},
        },
        ("schooling", "wage"),
        [
            (
                "unadjusted",
                (),
                "Ambition is a common cause of schooling and wages, and was not measured. Put it "
                "into the model as a latent variable, and let the voucher act on schooling alone.",
            ),
            (
                "instrument-adjusted",
                ("voucher",),
                "The voucher is a cause of schooling alone. Holding it removes the only part of "
                "schooling that owes nothing to ambition, so the bias grows. The wage's equation "
                "must not read it.",
            ),
            (
                "effect of the voucher",
                lambda world: world.regression("voucher", "wage"),
                "This is what one more voucher does to wages. A voucher brings more than one unit "
                "of schooling: divide by the effect of the voucher on schooling.",
            ),
        ],
        "The instrument: the effect of the voucher on wages over that on schooling.",
        hidden=("U",),
        variables=("U", "voucher", "schooling", "wage"),
    )


def _selection() -> Exercise:
    return linear_exercise(
        "selection",
        "A survey reaches people who exercise and people with time; time also improves sleep. "
        "Only those who answered are in the table. By how much does sleep improve with one more "
        "unit of exercise, for anybody? Columns: time, exercise, sleep.",
        {
            "time": {},
            "exercise": {},
            "sleep": {"exercise": 0.4, "time": 0.9},
            "answering": {"exercise": 1.0, "time": 1.0},
        },
        ("exercise", "sleep"),
        [
            (
                "unadjusted",
                (),
                "Only those who answered are seen, and exercise and time both make people answer: "
                "among them, more exercise goes with less time, which costs sleep. Adjust for "
                "time, and the path through the selection is blocked.",
            )
        ],
        "Adjust for time: it blocks the path that the selection opens.",
        noise={"answering": 0.5},
        selected=("answering", 0.5),
        hidden=("answering",),
    )


def _mediator_outcome() -> Exercise:
    return linear_exercise(
        "mediator_outcome",
        "Training was given at random. It raises skill, and skill raises pay; experience raises "
        "both skill and pay. By how much does pay change with one more unit of training when "
        "skill is held fixed? Columns: experience, training, skill, pay.",
        {
            "experience": {},
            "training": {},
            "skill": {"training": 0.8, "experience": 1.0},
            "pay": {"training": 0.4, "skill": 0.5, "experience": 1.0},
        },
        ("training", "pay"),
        [
            (
                "total effect",
                (),
                "This is the effect all in all, the part through skill included. The question "
                "holds skill: it asks for the direct effect.",
            ),
            (
                "mediator-adjusted, its confounder not",
                ("skill",),
                "Experience is a common cause of skill and pay. Holding skill alone opens training "
                "-> skill <- experience -> pay, although training was given at random. Adjust for "
                "experience too.",
            ),
        ],
        "Hold skill and adjust for experience, the common cause of skill and pay.",
        mediators=("skill",),
    )


def _simpson() -> Exercise:
    world = TableWorld(
        names=("severe", "treated", "recovered"),
        p_z=0.5,
        p_x=(0.2, 0.8),
        p_y=((0.80, 0.35), (0.92, 0.50)),
    )
    question = ATE("treated", "recovered")
    why = (
        "The severe cases are treated more often and recover less: the arms are not alike. Within "
        "each group treatment helps. Adjust for severity: let both equations read it."
    )
    return made(
        name="simpson",
        text=(
            "Fewer of the treated recover than of the untreated. Severe cases are treated more "
            "often. By how much does treatment change the probability of recovery? Columns: "
            "severe, treated, recovered (0 or 1)."
        ),
        question=question,
        observed=world.names,
        graph=exercise_graph(world.edges(), world.names),
        world=world,
        key=Known(
            Mistake("truth", world.effect(), ""),
            (Mistake("unadjusted", world.difference(), why),),
            "Adjust for severity: the average over its two groups.",
        ),
        variables=world.names,
    )


_EXERCISES: dict[str, Callable[[], Exercise]] = {
    "fork": _fork,
    "chain": _chain,
    "collider": _collider,
    "m_bias": _m_bias,
    "front_door": _front_door,
    "instrument": _instrument,
    "selection": _selection,
    "mediator_outcome": _mediator_outcome,
    "simpson": _simpson,
}
