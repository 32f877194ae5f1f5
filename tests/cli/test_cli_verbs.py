"""The command line and Python are two faces of the same verbs: names, defaults, help, results, errors."""

import inspect
import json
import os
import re
import subprocess
import sys
import typing
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, get_args, get_origin

import pytest
import torch
from cyclopts import App

import genlab as package
from genlab.cli.app import build_app
from genlab.cli.command import AS_JSON
from genlab.core.errors import GenlabError, UsageError
from genlab.core.parts import forget, registered
from genlab.recipes.fields import aliases, flag, options_of
from genlab.recipes.presets import PRESETS
from genlab.recipes.resolve import resolve
from genlab.verbs import COMMANDS, VERBS, find
from genlab.verbs.verb import helps

Genlab = Callable[..., tuple[int, str, str]]
MADE_OF_VERBS = [name for name in COMMANDS if name != "train"]
SHAPE = {"size": 16, "batch_size": 16}


@pytest.fixture(scope="module")
def app() -> App:
    return build_app([])


def result_type(name: str) -> Any:
    """The class that a verb returns; the verb's module may import it for type checkers only."""
    verb = inspect.unwrap(find(name))
    annotation = verb.__annotations__["return"]
    if not isinstance(annotation, str):
        return annotation
    source = Path(verb.__code__.co_filename).read_text()
    imports = re.findall(
        r"^    from (genlab|torch)(\S*) import (.+)$", source.partition("TYPE_CHECKING:")[2], re.M
    )
    scope: dict[str, Any] = {}
    for root, rest, names in imports:
        exec(f"from {root}{rest} import {names}", scope)
    return eval(annotation, scope)


# one signature


def test_every_verb_is_an_attribute_of_the_package() -> None:
    assert set(package.__all__) == {*VERBS, *package.PARTS, "__version__"}
    assert set(package.__all__) <= set(dir(package))
    for name in VERBS:
        assert inspect.signature(getattr(package, name)) == inspect.signature(find(name))
        assert inspect.getdoc(getattr(package, name)) == inspect.getdoc(find(name))


def test_every_command_is_a_verb(app: App) -> None:
    assert [name for name in app if not name.startswith("-")] == list(COMMANDS)


@pytest.mark.parametrize("name", MADE_OF_VERBS)
def test_a_command_has_the_parameters_of_its_function(app: App, name: str) -> None:
    verb, help_of = find(name), helps(find(name))
    arguments = {argument.field_info.name: argument for argument in app[name].assemble_argument_collection()}
    assert set(arguments) - {"json"} == set(inspect.signature(verb).parameters)
    assert ("json" in arguments) == (name in AS_JSON)
    for parameter in inspect.signature(verb).parameters.values():
        argument = arguments[parameter.name]
        assert argument.parameter.help == help_of[parameter.name]
        assert argument.field_info.kind is parameter.kind
        assert argument.required == (
            parameter.default is parameter.empty and parameter.kind.name != "VAR_POSITIONAL"
        )
        if parameter.default not in (parameter.empty, ()):
            assert argument.field_info.default == parameter.default
        if parameter.kind.name != "VAR_POSITIONAL":
            assert flag(parameter.name) in argument.names
        literals = {choice for choice in choices(parameter.annotation) if choice is not None}
        assert literals == set(choices(argument.hint)) - {None}


def choices(hint: Any) -> Sequence[Any]:
    if get_origin(hint) is typing.Literal:
        return get_args(hint)
    return [choice for part in get_args(hint) for choice in choices(part)]


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_has_the_same_options_on_the_command_line_and_in_python(app: App, preset: str) -> None:
    plan = resolve(preset)
    arguments = {a.field_info.name: a for a in app["train"][preset].assemble_argument_collection()}
    own = {
        name: option.value for each in (plan.recipe, plan.settings) for name, option in options_of(each).items()
    }
    shared = {alias for alias, targets in aliases(plan.recipe, plan.settings).items() if len(targets) > 1}
    of_train = {n for n, p in inspect.signature(package.train).parameters.items() if p.kind.name == "KEYWORD_ONLY"}
    assert set(arguments) == {*own, *shared, *of_train, "json"}
    assert {name: arguments[name].field_info.default for name in own} == own


@pytest.mark.parametrize("name", VERBS)
def test_every_parameter_of_a_verb_is_described_in_order(name: str) -> None:
    verb = find(name)
    described = helps(verb)
    assert list(described) == list(inspect.signature(verb).parameters)
    assert all(re.match(r"\S.*\.$", text) for text in described.values())
    assert not any(re.search(r"\w- |\s{2}", text) for text in described.values())
    doc = inspect.getdoc(verb)
    assert doc is not None
    assert re.match(r"[A-Z][^\n]*\.\n", doc)
    assert "Returns:\n" in doc


@pytest.mark.parametrize("name", ["sample", "translate", "evaluate", "compare", "load"])
def test_options_of_sampling_are_flat_keywords_in_one_wording(name: str) -> None:
    parameters = inspect.signature(find(name)).parameters
    for option in ("sampler", "sampling_steps", "eta", "guidance", "guidance_interval", "temperature"):
        assert parameters[option].kind is inspect.Parameter.KEYWORD_ONLY
        assert parameters[option].default is None
        assert helps(find(name))[option] == helps(find("sample"))[option]


@pytest.mark.parametrize("name", ["upscale", "info"])
def test_json_is_listed_in_the_help(name: str, genlab: Genlab) -> None:
    assert "--json" in genlab(name, "--help")[1]


@pytest.mark.parametrize("name", VERBS)
def test_json_is_for_results_with_plain_values(name: str) -> None:
    assert hasattr(result_type(name), "values") == (name in AS_JSON)


# one result


@pytest.mark.parametrize(
    ("name", "args", "options"),
    [
        ("sample", ("vae",), {"number": 3, "seed": 2}),
        ("reconstruct", ("vae", "PICTURES"), {"draw": True}),
        ("interpolate", ("vae",), {"stretches": 2, "frames": 3}),
        ("probe", ("vae",), {"number": 200}),
        ("cluster", ("vae",), {"clusters": 3}),
        ("neighbours", ("vae", "PICTURES"), {"neighbours": 2}),
        ("evaluate", ("vae",), {"extractor": "pixels", "samples": 50}),
        ("compare", ("vae", "dcgan"), {"extractor": "pixels", "samples": 50}),
        ("doctor", ("dcgan",), {}),
        ("runs", (), {}),
        ("info", ("vae",), {}),
        ("report", ("vae",), {}),
        ("data", ("digits",), {"size": 16}),
        ("recipes", ("*gan",), {}),
        ("checks", (), {}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_printed_is_the_result_as_text_and_as_json(
    name: str,
    args: tuple[str, ...],
    options: dict[str, Any],
    genlab: Genlab,
    runs: Path,
    pictures: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    root = {"root": runs} if "root" in inspect.signature(find(name)).parameters else {}
    given = [str(pictures) if each == "PICTURES" else each for each in args]
    flags = [word for n, v in {**options, **root}.items() for word in (flag(n), *(() if v is True else (v,)))]
    getattr(package, name)(*given, **options, **root)  # what is measured once is stored
    result = getattr(package, name)(*given, **options, **root)
    code, out, _ = genlab(name, *given, *flags)
    assert (code, out) == (0, f"{result}\n")
    if name in AS_JSON:
        code, out, _ = genlab(name, *given, *flags, "--json")
        assert json.loads(out) == json.loads(json.dumps(result.values()))


def test_python_prints_nothing(runs: Path, capfd: pytest.CaptureFixture[str]) -> None:
    package.sample("vae", number=2, root=runs)
    package.info("vae", root=runs)
    package.train("autoencoder", steps=1, width=4, data="digits", root=runs.parent / "other", quiet=True, **SHAPE)
    assert capfd.readouterr() == ("", "")


def test_training_prints_the_run(tmp_path: Path, genlab: Genlab) -> None:
    small = {"steps": 2, "width": 4, "size": 16, "batch_size": 16, "root": tmp_path}
    flags = [word for name, value in small.items() for word in (flag(name), value)]
    run = package.train("autoencoder", name="a", **small, quiet=True)
    code, out, _ = genlab("train", "autoencoder", "--name", "b", *flags)
    assert code == 0
    assert re.sub(r" in .*", "", out) == re.sub(r" in .*", "", f"{run}\n").replace(
        str(tmp_path / "a"), str(tmp_path / "b")
    )
    code, out, _ = genlab("resume", "a", "--root", tmp_path, "--json")
    assert code == 0
    listed = {each.name: each.values() for each in package.runs(tmp_path)}
    assert json.loads(out) == json.loads(json.dumps(listed["a"]))


def test_a_quiet_command_prints_nothing(tmp_path: Path, genlab: Genlab) -> None:
    small = ("--steps", 1, "--width", 4, "--size", 16, "--batch-size", 16, "--root", tmp_path)
    assert genlab("train", "autoencoder", *small, "--quiet") == (0, "", "")
    assert genlab("resume", "autoencoder", "--steps", 2, "--quiet", "--root", tmp_path) == (0, "", "")


def test_samples_are_a_tensor_a_file_and_a_picture(runs: Path, tmp_path: Path) -> None:
    sampled = package.sample("vae", number=6, seed=3, out=tmp_path / "a.png", root=runs)
    assert sampled.samples is not None
    assert sampled.samples.shape == (6, 1, 16, 16)
    assert sampled.condition == {}
    assert sampled._repr_png_() == sampled.path.read_bytes()
    alone = package.sample("vae", number=6, seed=3, out=str(tmp_path / "folder"), root=runs)
    assert alone.samples is None  # 50,000 pictures would not fit into memory
    assert str(alone) == f"6 images in {tmp_path / 'folder'}"
    assert alone._repr_png_() == sampled._repr_png_()


def test_reconstructions_and_interpolations_are_tensors(runs: Path, pictures: Path, tmp_path: Path) -> None:
    found = package.reconstruct("vae", pictures, out=tmp_path / "a.png", root=runs)
    assert found.originals.shape == found.reconstructions.shape == (3, 1, 16, 16)
    assert found.errors.tolist() == pytest.approx(
        (found.originals - found.reconstructions).square().flatten(1).mean(1).tolist()
    )
    assert list(found.values()["errors"]) == list(found.names)
    assert [item.path for item in found.rejected] == ["broken.png"]
    assert found._repr_png_() == found.path.read_bytes()
    walk = package.interpolate("vae", stretches=2, frames=3, out=tmp_path / "b.png", root=runs)
    assert walk.frames.shape == (2, 3, 1, 16, 16)
    assert walk.animation.is_file()
    assert walk._repr_png_() == walk.path.read_bytes()


def test_a_comparison_is_a_table_in_a_notebook(runs: Path) -> None:
    found = package.compare("vae", "dcgan", extractor="pixels", samples=50, root=runs)
    assert found._repr_html_().startswith("<table>")
    assert all(evaluation.subject in found._repr_html_() for evaluation in found.evaluations)


def test_a_log_takes_a_mapping_or_pairs(tmp_path: Path, genlab: Genlab) -> None:
    path = tmp_path / "log.csv"
    path.write_text("a,b\n" + "\n".join(f"{i},nan" if i == 5 else f"{i},0.5" for i in range(20)))
    by_mapping = package.doctor(path, map={"step": "a", "loss": "b"}, family="autoencoder")
    by_pairs = package.doctor(path, map=["step=a", "loss=b"], family="autoencoder")
    assert by_mapping.values() == by_pairs.values()
    assert not by_mapping.healthy
    code, out, _ = genlab("doctor", path, "--map", "step=a", "--map", "loss=b", "--family", "autoencoder")
    assert (code, out) == (3, f"{by_mapping}\n")


class OwnPath(os.PathLike[str]):
    """A path of another class, such as a run."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __fspath__(self) -> str:
        return str(self.path)


def test_a_run_is_named_by_text_or_any_path(runs: Path) -> None:
    found = [package.info(run, root=runs) for run in ("vae", "latest", runs / "vae", OwnPath(runs / "vae"))]
    assert all(each == found[0] for each in found)


# one set of errors


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("sample", {"number": 0}),
        ("sample", {"guidance": 2.0}),
        ("sample", {"device": "gpu"}),
        ("sample", {"out": "a.jpg"}),
        ("sample", {"label": "7"}),
        ("evaluate", {"samples": 1}),
        ("evaluate", {"split": "all"}),
        ("interpolate", {"frames": 1}),
        ("interpolate", {"checkpoint": "beste"}),
        ("resume", {"steps": 0}),
    ],
)
def test_a_wrong_value_is_answered_in_the_same_words(
    name: str, options: dict[str, Any], genlab: Genlab, runs: Path
) -> None:
    with pytest.raises(GenlabError) as caught:
        getattr(package, name)("vae", **options, root=runs)
    code, out, err = genlab(
        name, "vae", *(word for n, v in options.items() for word in (flag(n), v)), "--root", runs
    )
    assert out == ""
    assert code == caught.value.exit_code
    message = f"genlab: {caught.value}\n".replace(" or none", "")
    assert re.sub("^genlab: vae: checkpoint .*\n", "", err) == message


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (
            lambda: package.sample("x", chekpoint="last"),
            'sample has no option "chekpoint". Did you mean "checkpoint"?',
        ),
        (lambda: package.sample(3), '--run must be text or a path, not "3".'),
        (lambda: package.sample(None), '--run must be text or a path, not "None".'),
        (
            lambda: package.sample("x", "y"),
            "sample: too many positional arguments. Options are given by name, such",
        ),
        (lambda: package.train("vae", {"steps": 3}), 'Options are given by name, such as data="digits"'),
        (lambda: package.train({"preset": "vae"}), "or a recipe, not dict with preset. See genlab.recipes()"),
        (lambda: package.train(None), "preset must be a name, such as dcgan, a path ending in .yaml, or a recipe"),
        (lambda: package.train("vae", name=["x"]), "--name must be text or none"),
        (lambda: package.load({"a": 1}), '--run must be text or a path, not "dict with a"'),
        (lambda: package.Run(3), '--run must be text or a path, not "3"'),  # type: ignore[arg-type]
        (lambda: package.Run("x", root=None), '--root must be text or a path, not "None"'),  # type: ignore[arg-type]
        (lambda: package.plugin(3), "plugin takes the path of a file, such as my_parts.py, not 3"),  # type: ignore[arg-type]
        (lambda: package.part(3, "a")(len), 'unknown kind of part "3"'),  # type: ignore[arg-type]
        (lambda: package.doctor("x.csv", map=[3]), "--map must be a mapping of texts or a list of texts"),
        (lambda: package.compare(3, 4), '--runs must be text or a path, not "3"'),
        (lambda: package.reconstruct("x"), "reconstruct: missing a required argument: 'path'"),
        (lambda: package.bench("trainig"), 'not "trainig". Did you mean "training"?'),
        (lambda: package.data(), "data: missing a required argument: 'source'"),
        (lambda: package.train("vea"), 'unknown preset "vea". Did you mean "vae"?'),
        (lambda: package.train("vae", out="x"), 'vae has no option "out". Did you mean "root"?'),
    ],
)
def test_a_wrong_call_is_a_usage_error_with_the_next_step(wrong: Callable[[], object], words: str) -> None:
    with pytest.raises(UsageError, match=re.escape(words)):
        wrong()


# packages that are also functions


@pytest.mark.parametrize(
    "imports",
    [
        "import genlab",
        "import genlab.data",
        "from genlab.data.cache import cache_folder\nimport genlab",
        "import genlab.recipes.presets\nimport genlab.bench as bench\nimport genlab",
        "from genlab import data, recipes\nassert recipes('vae')\nimport genlab",
        "import genlab.cli.main\nimport genlab.verbs.data\nimport genlab",
    ],
)
def test_a_package_with_the_name_of_a_verb_can_be_called(imports: str, tmp_path: Path) -> None:
    code = f"""
import inspect
{imports}
assert "dcgan" in str(genlab.recipes("dcgan"))
try:
    genlab.data("digits", sise=16)
except genlab.core.errors.UsageError as error:
    assert "size" in str(error)
import genlab.recipes.presets as presets
assert genlab.recipes.presets is presets and inspect.ismodule(genlab.data)
assert list(inspect.signature(genlab.data).parameters)[:2] == ["source", "other"]
assert "Args:" in inspect.getdoc(genlab.bench)
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)


def test_the_package_of_data_describes_data(tmp_path: Path) -> None:
    described = package.data("digits", size=16, out=tmp_path / "a.png")
    assert described.source.train.spec.target.shape == (1, 16, 16)
    assert described._repr_png_() == described.path.read_bytes()


def test_a_package_that_can_be_called_can_be_patched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("genlab.data.toys.TOYS", {})
    from genlab.data import toys

    assert toys.TOYS == {}


# parts of a user


def test_an_own_sampler_is_a_choice_of_both_faces(tmp_path: Path, genlab: Genlab) -> None:
    parts = tmp_path / "parts.py"
    parts.write_text(
        "import genlab\nfrom genlab.families.samplers import SAMPLERS\n"
        'genlab.part("sampler", "twin-of-euler")(SAMPLERS["euler"])\n'
    )
    small = ("--width", 8, "--batch", 8, "--size", 16, "--timesteps", 4, "--steps", 1, "--root", tmp_path)
    assert genlab("train", "ddpm", *small, "--attention", 0, "--quiet") == (0, "", "")
    try:
        code, out, err = genlab("sample", "--sampler", "twin-of-euler", "--root", tmp_path, "--plugin", parts)
        assert (code, err.startswith("genlab: ddpm: checkpoint last, step 1: ")) == (0, True)
        by_name = package.sample(sampler="twin-of-euler", root=tmp_path)
        assert out == f"{by_name}\n"
        assert torch.equal(by_name.samples, package.sample(sampler="euler", root=tmp_path).samples)
    finally:
        forget(registered("sampler")["twin-of-euler"])


@pytest.mark.parametrize("name", ["evaluate", "info", "resume", "sample", "compare"])
def test_a_message_shows_no_data(name: str) -> None:
    with pytest.raises(UsageError, match=r'not "Tensor of shape \(2, 3\)"'):
        find(name)(torch.zeros(2, 3))


def test_a_description_of_data_shows_what_was_done_but_no_pixels(tmp_path: Path) -> None:
    described = package.data(torch.zeros(20, 12, 16, dtype=torch.uint8), out=tmp_path / "a.png")
    assert "shorter side to 32 px (bicubic, antialiased), centre square, which crops" in str(described)
    assert repr(described).startswith("<Described <Source array-")
    assert len(repr(described)) < 300
