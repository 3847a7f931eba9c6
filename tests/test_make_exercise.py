"""Exercises of a teacher's own model: truth and mistakes, the file, data by name, marks."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pymc as pm
import pytest

import bayescausal as bc
from bayescausal.types import DataError, EstimandError, ParameterError, UnknownVariableError

FORMULAS = ["age ~ 1", "salt ~ age", "pressure ~ salt + age", "fame ~ salt + pressure"]
EFFECT, AGE = 0.5312, -0.8
TRUTH = {
    "b_age_Intercept": 0.0,
    "sigma_age": 1.0,
    "b_salt_Intercept": 0.0,
    "b_salt_age": AGE,
    "sigma_salt": 1.0,
    "b_pressure_Intercept": 0.0,
    "b_pressure_salt": EFFECT,
    "b_pressure_age": 1.0,
    "sigma_pressure": 1.0,
    "b_fame_Intercept": 0.0,
    "b_fame_salt": 1.0,
    "b_fame_pressure": 1.0,
    "sigma_fame": 1.0,
}
QUESTION = bc.ATE("salt", "pressure")
#: cov(salt, age) / var(salt), and the regression given fame worked out by hand below.
UNADJUSTED = EFFECT + AGE / (1 + AGE**2)


def slope(data: pd.DataFrame, *others: str) -> float:
    design = np.column_stack([data[name] for name in ("salt", *others)] + [np.ones(len(data))])
    return float(np.linalg.lstsq(design, data["pressure"], rcond=None)[0][0])


def given_fame() -> float:
    """The coefficient of salt in pressure ~ salt + age + fame, from the covariance of the noise.

    Given age, pressure = e s + u and fame = (1 + e) s + u + v: the coefficient of fame is
    var(u) / (var(u) + var(v)) = 1/2, that of salt e - (1 + e) / 2.
    """
    return EFFECT - (1 + EFFECT) / 2


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exercise")
    exercise = bc.make_exercise(
        FORMULAS,
        TRUTH,
        QUESTION,
        mistakes=[
            ("without age", slope),
            ("collider", lambda data: slope(data, "age", "fame"), "Fame is a common effect."),
            ("slope and a quarter", lambda data: slope(data) + 0.25),
        ],
        path=folder / "salt.json",
        name="salt",
        how="Adjust for age.",
        units=400,
    )
    return exercise, folder


def test_truth_and_mistakes_are_computed(made):
    """The standard error of a slope in 20,000 units is .009 and less: z below 4."""
    exercise, _ = made
    solution = exercise.reveal()
    assert solution.truth == pytest.approx(EFFECT, abs=1e-12)
    expected = {
        "without age": UNADJUSTED,
        "collider": given_fame(),
        "slope and a quarter": UNADJUSTED + 0.25,
    }
    for mistake in exercise._key.mistakes:
        assert 0.002 < mistake.error < 0.02
        assert abs(mistake.value - expected[mistake.name]) < 4 * 0.009
    assert solution.mistakes.loc["collider", "why"] == "Fame is a common effect."
    assert solution.how == "Adjust for age."


@pytest.mark.slow
def test_slips_of_a_teacher_are_named():
    def asked(mistake, question=QUESTION):
        return bc.make_exercise(FORMULAS, TRUTH, question, mistakes=[mistake])

    with pytest.raises(DataError, match="'agee', which is no variable of the model"):
        asked("without fame and agee")
    with pytest.raises(DataError, match="KeyError: 'slat'"):
        asked(("slope", lambda data: data["slat"].mean()))
    with pytest.raises(EstimandError, match="2 questions"):
        asked("unadjusted", [QUESTION, QUESTION])


def test_phrases_sets_and_models_are_mistakes():
    """The same numbers from sets, phrases, formulas and models; z below 4."""
    hides = ["salt ~ age", "age ~ 1", "pressure ~ salt"]
    exercise = bc.make_exercise(
        FORMULAS,
        TRUTH,
        QUESTION,
        mistakes=[
            "without age",
            ("nothing", []),
            ("formulas", hides),
            ("model", bc.model_from_formulas(hides)),
            "adjusting for the collider fame",
            ("both", {"age", "fame"}),
        ],
    )
    mistakes = {m.name: m for m in exercise._key.mistakes}
    for mistake in mistakes.values():
        assert 0.004 < mistake.error < 0.012
        collider = mistake.name in ("adjusting for the collider fame", "both")
        assert abs(mistake.value - (given_fame() if collider else UNADJUSTED)) < 4 * 0.009
    assert mistakes["without age"].why.startswith("Age is a confounder: adjust for it")
    assert "Fame is a collider" in mistakes["adjusting for the collider fame"].why


@pytest.mark.slow
def test_sets_of_a_direct_effect_hold_the_mediator():
    """By hand, from the regression of e on t and s."""
    formulas = ["e ~ 1", "t ~ 1", "s ~ t + e", "p ~ t + s + e"]
    half = {f"b_{n}": 0.5 for n in ("s_t", "s_e", "p_t", "p_s", "p_e")}
    half |= {f"b_{n}_Intercept": 0.0 for n in "etsp"} | {f"sigma_{n}": 1.0 for n in "etsp"}
    exercise = bc.make_exercise(
        formulas,
        half,
        bc.CDE("t", "p", mediators={"s": 0}),
        mistakes={"without e": "without e", "skill": ["s"], "all in all": bc.ATE("t", "p")},
    )
    rows = exercise.reveal().mistakes["value"]
    assert exercise.reveal().truth == pytest.approx(0.5)
    assert rows["all in all"] == pytest.approx(0.75)
    # given t, s is .5 e + noise: e given t and s has slope .5 / 1.25 = .4 on s, -.2 on t
    for name in ("without e", "skill"):
        assert rows[name] == pytest.approx(0.5 - 0.5 * 0.2, abs=4 * 0.009)


def test_the_file_does_not_show_what_it_hides(made):
    exercise, folder = made
    text = (folder / "salt.json").read_text(encoding="utf-8")
    for secret in (str(EFFECT), f"{EFFECT:.3f}", f"{EFFECT:.2f}", "collider", "without", "Adjust"):
        assert secret not in text
    numbers = [exercise.reveal().truth, *exercise.reveal().mistakes["value"]]
    shown = json.loads(text)
    assert shown["observed"] == ["age", "salt", "pressure", "fame"]
    # powers of two tell a scale and nothing else
    assert np.log2(shown["resolution"]) % 1 == 0
    assert not any(abs(shown[k] - abs(n)) < 0.004 for k in ("resolution", "slack") for n in numbers)


def test_a_student_has_the_same_exercise(made):
    exercise, folder = made
    own = bc.load_exercise(folder / "salt.json")
    assert own.text == exercise.text
    assert own.question == exercise.question
    assert set(own.graph.edges) == set(exercise.graph.edges)
    data = own.data("Ada Lovelace")
    assert data.shape == (400, 4)
    pd.testing.assert_frame_equal(data, exercise.data("  ada   LOVELACE "))
    assert not data.equals(own.data("Grace Hopper"))
    assert own.data("Ada Lovelace", units=30).shape == (30, 4)
    for value in (EFFECT, UNADJUSTED, given_fame(), UNADJUSTED + 0.25, 12.0):
        assert own.check(value).sentence() == exercise.check(value).sentence()
    for width in (0.01, 0.1, 1.0):
        draws = np.random.default_rng(1).normal(EFFECT, width, 2000)
        answer = bc.Effect(draws, estimand=QUESTION)
        assert own.check(answer).sentence() == exercise.check(answer).sentence()
    with pytest.raises(DataError, match="The solution of this exercise is not told"):
        own.reveal()


def test_answers_are_told_right_and_wrong(made):
    _, folder = made
    own = bc.load_exercise(folder / "salt.json")
    assert own.check(EFFECT).verdict == "pass"
    wrong = own.check(given_fame())
    assert (wrong.verdict, wrong.values["mistake"]) == ("fail", "collider")
    assert wrong.meaning == "Fame is a common effect."
    assert own.check(9.0).meaning.startswith("It is none of the mistakes known here.")
    own.check(EFFECT, strict=True)
    with pytest.raises(AssertionError, match="Fame is a common effect"):
        own.check(given_fame(), strict=True)
    vague = bc.Effect(np.random.default_rng(1).normal(0, 1e6, 100), estimand=QUESTION)
    assert own.check(vague).verdict == "undecided"
    with pytest.raises(AssertionError, match="too wide"):
        own.check(vague, strict=True)
    with pytest.raises(EstimandError, match="The answer is to ATE age -> pressure"):
        own.check(bc.Effect([0.1, 0.2], estimand=bc.ATE("age", "pressure")))


def test_a_class_is_marked_from_a_folder(made, tmp_path):
    exercise, folder = made
    own = bc.load_exercise(folder / "salt.json")
    answer = bc.Effect(np.random.default_rng(1).normal(EFFECT, 0.03, 2000), estimand=QUESTION)
    own.hand_in(answer, "Ada", tmp_path)
    own.hand_in(UNADJUSTED, "Bo Li", tmp_path)
    (tmp_path / "cy.json").write_text(json.dumps(answer.to_dict()))
    (tmp_path / "dee.txt").write_text(f"{given_fame():.3f}\n")
    (tmp_path / "eve.txt").write_text("a lot")
    (tmp_path / "rest.csv").write_text(f"student,answer,sd\nFay,{EFFECT},\nGus,{EFFECT},1e9\n")
    (tmp_path / "hal.json").write_text('{"exercise": "other", "student": "Hal", "answer": 1}')
    (tmp_path / "ian.json").write_text('{"student": "Ian", "answer": 0.5, "sd": -1}')
    (tmp_path / "jo.json").write_text("{}")
    (tmp_path / "kit.csv").write_text("name\nKit\n")
    rows = [f"007,{EFFECT},", "Lou,,", f"Mia,{EFFECT},", "Ned,dunno,", f",{EFFECT},"]
    (tmp_path / "list.csv").write_text("\n".join(["student,answer,sd", *rows]))
    (tmp_path / "oz.txt").write_text("1e308")
    (tmp_path / "pam.json").write_text('{"student": "Pam", "answer": 1' + 400 * "0" + "}")
    (tmp_path / "quin.txt").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "notes.md").write_text("left alone")
    table = exercise.mark(tmp_path)
    assert table["verdict"].to_dict() == {
        "Ada": "right",
        "Bo Li": "wrong",
        "cy": "right",
        "dee": "wrong",
        "eve": "unreadable",
        "Fay": "right",
        "Gus": "undecided",
        "hal": "unreadable",
        "Ian": "unreadable",
        "jo": "unreadable",
        "kit": "unreadable",
        "007": "right",
        "Lou": "unreadable",
        "Mia": "right",
        "Ned": "unreadable",
        "list": "unreadable",  # a row without a name
        "oz": "wrong",
        "Pam": "unreadable",
        "quin": "unreadable",
    }
    assert table["points"].sum() == 5
    assert table.loc[["Bo Li", "dee"], "mistake"].tolist() == ["without age", "collider"]
    comments = table["comment"]
    assert comments["hal"] == "An answer to other. Expected: one to salt."
    assert "sd from 0" in comments["Ian"]
    assert comments["jo"] == "No 'answer'."
    assert "No column 'answer', 'student'." in comments["kit"]
    assert table.loc["Ada", "sd"] == pytest.approx(answer.sd())
    pd.testing.assert_frame_equal(table, own.mark(tmp_path))
    with pytest.raises(DataError, match="There is no folder"):
        own.mark(tmp_path / "no")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="No answer in"):
        own.mark(tmp_path / "empty")


def test_a_password_locks_data_and_solution(made, tmp_path):
    exercise, _ = made
    exercise.save(tmp_path / "locked.json", password="open sesame")
    own = bc.load_exercise(tmp_path / "locked.json")
    assert own.check(EFFECT).verdict == "pass"
    assert own.check(UNADJUSTED).values["mistake"] == "without age"
    for ask in (lambda: own.data("Ada"), own.reveal):
        with pytest.raises(DataError, match=r"load_exercise\(path, password\)"):
            ask()
    teachers = bc.load_exercise(tmp_path / "locked.json", "open sesame")
    pd.testing.assert_frame_equal(teachers.data("Ada"), exercise.data("Ada"))
    assert teachers.reveal().truth == exercise.reveal().truth
    assert teachers.reveal().mistakes.equals(exercise.reveal().mistakes)
    with pytest.raises(DataError, match="The password is wrong"):
        bc.load_exercise(tmp_path / "locked.json", "sesame")
    held = json.loads((tmp_path / "locked.json").read_text())
    (tmp_path / "locked.json").write_text(
        json.dumps(held | {"body": held["body"][:-8] + "AAAAAAA="})
    )
    with pytest.raises(DataError, match="cannot be opened"):
        bc.load_exercise(tmp_path / "locked.json", "open sesame")
    [path] = exercise.hand_out(["Ada"], tmp_path / "out")
    assert path.name == "ada.csv"
    np.testing.assert_allclose(pd.read_csv(path), exercise.data("Ada"))


def naive(data: pd.DataFrame) -> float:
    return float(data.groupby("x")["y"].mean().diff()[1])


def plain() -> pm.Model:
    """A latent common cause u, and rates of a two-valued world that are worked out by hand."""
    with pm.Model(coords={"unit": [0]}) as model:
        pu = pm.Beta("pu", 1, 1)
        px, py = pm.Beta("px", 1, 1, shape=2), pm.Beta("py", 1, 1, shape=(2, 2))
        u = pm.Bernoulli("u", pu, dims="unit")
        x = pm.Bernoulli("x", px[u], dims="unit")
        pm.Bernoulli("y", py[x, u], dims="unit")
    return model


RATES = {"pu": 0.4, "px": [0.2, 0.7], "py": [[0.2, 0.6], [0.3, 0.9]]}


def test_plain_pymc_hidden_variables_and_another_question():
    """All by hand: P(u=1) = .4; effect .1 where u = 0 and .3 where u = 1."""
    exercise = bc.make_exercise(
        plain(),
        RATES,
        bc.ATT("x", "y"),
        mistakes={
            "no u": naive,
            "everybody": (bc.ATE("x", "y"), "It is of the treated."),
        },
        hidden="u",
    )
    treated = np.array([0.6 * 0.2, 0.4 * 0.7])
    share = treated / treated.sum()
    control = np.array([0.6 * 0.8, 0.4 * 0.3])
    control /= control.sum()
    solution = exercise.reveal()
    error = exercise._key.truth.error  # the treated of the model are simulated
    assert solution.truth == pytest.approx(share @ [0.1, 0.3], abs=4 * error)
    assert error < 0.001
    rows = solution.mistakes["value"]
    assert rows["everybody"] == pytest.approx(0.6 * 0.1 + 0.4 * 0.3, abs=1e-9)
    apart = share @ [0.3, 0.9] - control @ [0.2, 0.6]
    assert rows["no u"] == pytest.approx(apart, abs=4 * 0.5 / np.sqrt(20_000 * 0.24))
    assert exercise.data("Ada", 10).columns.tolist() == ["x", "y"]
    assert exercise.graph.nodes["u"]["observed"] is False


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"mistakes": [0.3]}, DataError, "'0.3' has no number: 0.3 is a number"),
        ({"mistakes": ["without agee"]}, DataError, "names no variable of the model"),
        ({"mistakes": ["fame first"]}, DataError, "'fame first' is not understood"),
        ({"mistakes": [["agee"]]}, DataError, "no variable 'agee'. Did you mean 'age'"),
        ({"mistakes": [["pressure"]]}, DataError, "'pressure' is the outcome"),
        ({"mistakes": [("a", lambda d: "x")]}, DataError, "It returns 'x'"),
        ({"mistakes": [("a", lambda d: np.nan)]}, DataError, "leads to nan"),
        ({"mistakes": [("a", [], "b", "c")]}, DataError, "(name, analysis) or"),
        ({"mistakes": {"a": 3 + 2j}}, DataError, "Found (3+2j)"),
        ({"mistakes": 3}, DataError, "mistakes=3. Expected: a list of mistakes"),
        ({"mistakes": [("a", []), ("a", ["fame"])]}, DataError, "Two mistakes are called 'a'"),
        ({"mistakes": [QUESTION]}, DataError, "leads to the right answer here"),
        ({"hidden": ["agee"]}, DataError, "hidden names 'agee', which is no variable"),
        ({"hidden": ["salt"]}, DataError, "'salt' is hidden, and the question is about it"),
        ({"units": 0}, DataError, "units=0. Expected: an integer from 1"),
        ({"path": "no/such/file.json"}, DataError, "a .json file in a folder that exists"),
        ({"path": "file.txt"}, DataError, "a .json file in a folder that exists"),
        ({"path": "file.json", "password": ""}, DataError, "password=''"),
        ({"truth": {}}, ParameterError, "No value for"),
        ({"question": bc.ATE("salt", "presure")}, UnknownVariableError, "Did you mean 'pressure'"),
        (
            {"question": bc.DoseResponse("salt", "pressure", values=[1, 2])},
            EstimandError,
            "several cells. Expected: one number",
        ),
    ],
)
def test_what_cannot_be_an_exercise_is_refused(options, error, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    asked = {"truth": TRUTH, "question": QUESTION} | options
    with pytest.raises(error) as caught:
        bc.make_exercise(FORMULAS, **asked)
    assert message in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_files_and_names_that_are_none_are_refused(made, tmp_path):
    exercise, _ = made
    with pytest.raises(DataError, match="There is no file"):
        bc.load_exercise(tmp_path / "no.json")
    for text in ("no json", "[1]", '{"format": "other"}'):
        (tmp_path / "other.json").write_text(text)
        with pytest.raises(DataError, match="holds no exercise"):
            bc.load_exercise(tmp_path / "other.json")
    with pytest.raises(DataError, match="would have the same data"):
        exercise.hand_out(["Ada", "ada "], tmp_path)
    with pytest.raises(DataError, match="Expected: a list of names"):
        exercise.hand_out("Ada", tmp_path)
    with pytest.raises(DataError, match="students is empty"):
        exercise.hand_out([], tmp_path)
    with pytest.raises(DataError, match="is a file"):
        exercise.hand_out(["Ada"], tmp_path / "other.json")
    with pytest.raises(DataError, match="the name or number of a student"):
        exercise.data("  ")
    with pytest.raises(DataError, match="families with formulas"):
        bc.make_exercise(plain(), RATES, bc.ATE("x", "y"), families={"x": "bernoulli"})
    with pytest.raises(DataError, match="a part of the package"):
        bc.exercise("fork").save(tmp_path / "fork.json")


def test_a_model_that_is_no_code_is_given_out_as_data(tmp_path):
    with pm.Model(coords={"unit": [0]}) as model:
        b = pm.Normal("b")
        x = pm.Normal("x", 0, 1, dims="unit")
        parts = [pm.Normal.dist(b * x, 1), pm.Normal.dist(b * x, 3)]
        pm.Mixture("y", [0.5, 0.5], parts, dims="unit")
    exercise = bc.make_exercise(model, {"b": 2.0}, bc.ATE("x", "y"))
    with pytest.raises(DataError, match="cannot be written to a file"):
        exercise.save(tmp_path / "mixture.json")
    [path] = exercise.hand_out(["Ada"], tmp_path)
    assert len(pd.read_csv(path)) == 1000
    assert exercise.check(2.0).verdict == "pass"
    vague = bc.Effect(np.random.default_rng(1).normal(2, 3, 500), estimand=exercise.question)
    assert exercise.check(vague).verdict == "undecided"


def test_long_columns_of_the_model_travel_with_the_file(tmp_path):
    dose = np.linspace(0, 1, 40)
    with pm.Model(coords={"unit": range(40)}) as model:
        z = pm.Data("z", dose, dims="unit")
        b = pm.Normal("b")
        x = pm.Normal("x", z, 1, dims="unit")
        pm.Normal("y", b * x + 2 * z, 1, dims="unit")
    path = tmp_path / "columns.json"
    made = bc.make_exercise(model, {"b": 1.5}, bc.ATE("x", "y"), path=path)
    own = bc.load_exercise(path)
    pd.testing.assert_frame_equal(own.data("Ada"), made.data("Ada"))
    assert own.check(1.5).verdict == "pass"
