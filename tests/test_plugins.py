"""A user's own parts: what is registered, what is refused, and what a run folder says about them."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import genlab
from genlab import plugins
from genlab.cli.main import run
from genlab.core import parts, yaml12
from genlab.core.errors import GenlabError, NonFiniteError, UsageError
from genlab.core.parts import Origin, Part, options_in
from genlab.diagnosis.doctor import ALL_RULES
from genlab.families.samplers import Sampler, Trajectory
from genlab.objectives.adversarial import ADVERSARIAL, AdversarialLoss
from genlab.recipes.fields import options_of
from genlab.recipes.presets import PRESETS
from genlab.recipes.resolve import from_values, resolve
from genlab.registration import name_of
from genlab.training.run_folder import RunFolder

TINY = {"size": 16, "width": 8, "batch_size": 8, "steps": 4, "log_every": 1}
LOSS = """
import genlab
@genlab.part("gan-loss", "cubic")
class Cubic:
    '''A loss.

    Args:
        margin: where it begins.
    '''
    def discriminator(real, fake, *, margin: float = 1.0):
        return (margin - real).relu().mean() + (margin + fake).relu().mean()
    def generator(fake):
        return -fake.mean()
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "my_parts.py"
    path.write_text(LOSS)
    return path


class Net(nn.Module):
    """A perceptron for any shapes.

    Args:
        hidden: units of its hidden layer.
    """

    def __init__(self, input_shape: tuple[int, ...], output_shape: tuple[int, ...], *, hidden: int = 8) -> None:
        super().__init__()
        sizes = [torch.Size(shape).numel() for shape in (input_shape, output_shape)]
        self.layers = nn.Sequential(
            nn.Flatten(), nn.Linear(sizes[0], hidden), nn.ReLU(), nn.Linear(hidden, sizes[1])
        )
        self.shape = output_shape

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.layers(x)
        return made.view(-1, *self.shape)


def registered(kind: str, name: str, value: Any, **traits: Any) -> None:
    genlab.part(kind, name, **traits)(value)


def test_a_part_is_a_row_of_its_table_with_options_and_help(file: Path) -> None:
    genlab.plugin(file)
    assert "cubic" in ADVERSARIAL
    option = options_of(PRESETS["dcgan"])["cubic_margin"]
    assert (option.value, option.hint, option.help) == (1.0, float, "where it begins")
    recipe = resolve("dcgan", {"loss": "cubic", "cubic_margin": 2.0}).recipe
    loss = recipe.part(ADVERSARIAL, "cubic")
    assert loss.discriminator(torch.zeros(3), torch.zeros(3)).item() == 4.0
    assert ADVERSARIAL["cubic"].discriminator(torch.zeros(3), torch.zeros(3)).item() == 2.0


def test_without_parts_the_tables_and_options_are_as_ever() -> None:
    assert "cubic" not in ADVERSARIAL
    assert "own" not in options_of(PRESETS["dcgan"])
    assert not from_values(resolve("dcgan").values(), "here").parts


def test_an_option_of_a_part_that_is_not_used_is_refused(file: Path) -> None:
    genlab.plugin(file)
    with pytest.raises(UsageError, match=r'--cubic-margin has no effect.*gan-loss "cubic"'):
        resolve("dcgan", {"cubic_margin": 2.0})


def test_a_misspelt_part_gets_a_suggestion(file: Path) -> None:
    genlab.plugin(file)
    with pytest.raises(UsageError, match='Did you mean "cubic"'):
        resolve("dcgan", {"loss": "cubik"})


@pytest.mark.parametrize(
    ("kind", "name", "value", "reason"),
    [
        ("gan-los", "x", Net, 'unknown kind of part "gan-los".*Did you mean "gan-loss"'),
        ("gan-loss", "hinge", AdversarialLoss, '"hinge" is the name of a built-in gan-loss. Choose another name'),
        ("gan-loss", "My Loss", AdversarialLoss, '"My Loss" is no name for a part'),
        ("gan-loss", "x", lambda real, fake: real, "needs two functions"),
        ("reconstruction", "x", 3, "must be a function .* not a int"),
        ("architecture", "x", 3, "is a int. Give a torch.nn.Module class"),
        ("architecture", "x", nn.Linear(2, 3), "built already. Give its class, such as Linear"),
        ("regularizer", "x", lambda a, b: a, r"a function \(network\), of the weights"),
        ("sampler", "x", 3, "must be a subclass of genlab.Sampler, or a function"),
        ("family", "x", 3, "inherits from genlab.Recipe, not a int"),
        ("extractor", "x", 3, r"must be a function \(images\)"),
        ("metric", "x", 3, r"must be a function \(samples, real\)"),
        ("rule", "x", lambda history, context: None, "Missing: symptom, why"),
        ("callback", "x", 3, "int has none"),
    ],
)
def test_what_is_no_part_is_refused_when_it_is_registered(kind: str, name: str, value: Any, reason: str) -> None:
    before = parts.everything()
    with pytest.raises(UsageError, match=reason):
        registered(kind, name, value)
    assert parts.everything() == before


def test_a_trait_that_a_kind_does_not_have_is_refused() -> None:
    with pytest.raises(UsageError, match=r'has no trait "symptom"\. Choices: log_odds, targets, compares_real'):
        registered("gan-loss", "x", AdversarialLoss, symptom="x")


def test_an_option_without_a_default_or_a_plain_type_is_refused() -> None:
    def without(a: Tensor, *, margin: float) -> Tensor: ...
    def tensor(a: Tensor, *, margin: Tensor | None = None) -> Tensor: ...

    for function in (without, tensor):
        with pytest.raises(UsageError, match=r"the option margin .* needs a default and a type"):
            options_in(function)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("import genlab", "registers nothing. Put `@genlab.part"),
        ("x = 1\n1 / 0", r"cannot be imported: ZeroDivisionError: division by zero \(line 2 of my_parts.py\)"),
        ("import not_there", "ModuleNotFoundError: No module named 'not_there'"),
        ("def f(:", "SyntaxError"),
        ("import json\njson.loads('x')", r"JSONDecodeError: .* \(line 2 of my_parts.py\)"),
        ("import sys\nsys.exit(0)", r"SystemExit: 0 \(line 2 of my_parts.py\)"),
        (LOSS + LOSS, r'the gan-loss "cubic" is defined twice. Rename one'),
        (LOSS + "1 / 0", "ZeroDivisionError"),
        (
            "import genlab\ngenlab.part('gan-loss', 'hinge')(1)",
            r'my_parts.py: "hinge" is the name of a built-in gan-loss',
        ),
    ],
)
def test_a_plugin_that_cannot_be_loaded_says_where_and_why(file: Path, text: str, reason: str) -> None:
    file.write_text(text)
    with pytest.raises(UsageError, match=reason):
        genlab.plugin(file)
    assert not parts.everything()  # also of what came before the fault


def test_packages_of_the_same_name_can_be_loaded_and_loaded_again(tmp_path: Path) -> None:
    for folder, name in (("a", "one"), ("b", "two")):
        package = tmp_path / folder / "mine"
        package.mkdir(parents=True)
        (package / "__init__.py").write_text("from . import loss\n")
        (package / "loss.py").write_text(LOSS.replace("cubic", name))
        genlab.plugin(package)
        genlab.plugin(package)
    assert {"one", "two"} <= set(ADVERSARIAL)


def test_a_file_beside_a_plugin_is_no_part_of_it(file: Path) -> None:
    (file.parent / "helper.py").write_text("x = 1\n")
    file.write_text("import helper\n" + LOSS)
    with pytest.raises(UsageError, match=r"helper.py lies beside it: make a folder of both with an __init__.py"):
        genlab.plugin(file)


def test_a_missing_plugin_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nothing\.py: there is no such file"):
        genlab.plugin(tmp_path / "nothing.py")


def test_two_files_cannot_define_the_same_part_but_one_can_be_loaded_again(file: Path, tmp_path: Path) -> None:
    genlab.plugin(file)
    genlab.plugin(file)
    other = tmp_path / "other.py"
    other.write_text(LOSS)
    with pytest.raises(UsageError, match=r'both define the gan-loss "cubic". Rename one'):
        genlab.plugin(other)


def test_the_option_of_a_part_may_not_hide_one_of_genlab() -> None:
    registered("regularizer", "width", lambda network: torch.zeros(()))
    with pytest.raises(UsageError, match=r"the option --width of the regularizer .* has the name of an option"):
        options_of(PRESETS["vae"])


def test_a_run_folder_names_its_parts_and_needs_them(file: Path) -> None:
    genlab.plugin(file)
    values = resolve("dcgan", {"loss": "cubic"}).values()
    about = {"kind": "gan-loss", "name": "cubic", "file": str(file), "sha256": parts.file_hash(file)}
    assert values["parts"] == [{**about, "options": ["cubic_margin"]}]
    assert from_values(values, "here").recipe == resolve("dcgan", {"loss": "cubic"}).recipe
    parts.forget(parts.everything()["gan-loss", "cubic"])
    with pytest.raises(UsageError, match=r'here needs the gan-loss "cubic" from .*--plugin my_parts.py'):
        from_values(values, "here")


def test_a_part_that_has_changed_is_refused_until_that_is_accepted(file: Path) -> None:
    genlab.plugin(file)
    values = resolve("dcgan", {"loss": "cubic"}).values()
    file.write_text(LOSS + "# changed\n")
    genlab.plugin(file)
    old, new = values["parts"][0]["sha256"][:12], parts.file_hash(file)[:12]
    with pytest.raises(UsageError, match=f"sha256 {old} then .*, {new} now .*Restore the old file, or accept"):
        from_values(values, "here")
    genlab.plugin(file, accept_changed=True)
    assert from_values(values, "here").values()["parts"][0]["sha256"] == parts.file_hash(file)


HOSTILE = "from pathlib import Path\nPath({!r}).touch()\nimport genlab\ngenlab.part('data', 'x')(1)\n"


@pytest.fixture(scope="module")
def vae(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = genlab.train("vae", latent=2, root=tmp_path_factory.mktemp("runs"), quiet=True, **TINY)
    return Path(run)


@pytest.mark.parametrize("key", ["parts", "plugin", "plugins", "python"])
def test_a_run_folder_never_executes_anything(
    vae: Path, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is in the folder and in its recipe, and also if it is the current folder."""
    folder, mark = tmp_path / "run", tmp_path / "executed"
    shutil.copytree(vae, folder)
    for name in ("my_parts.py", "conftest.py", "sitecustomize.py", "__init__.py"):
        (folder / name).write_text(HOSTILE.format(str(mark)))
    (folder / "pyproject.toml").write_text('[tool.genlab]\nplugins = ["my_parts.py"]\n')
    record = {"kind": "gan-loss", "name": "cubic", "file": str(folder / "my_parts.py"), "sha256": ""}
    recipe = folder / "recipe.yaml"
    recipe.write_text(
        recipe.read_text()
        + {
            "parts": yaml12.written({"parts": [record]}),
            "plugin": "plugin: my_parts.py\n",
            "plugins": "plugins: [my_parts.py]\n",
            "python": f"name: !!python/object/apply:os.system ['touch {mark}']\n",
        }[key]
    )
    shutil.copy(folder / "pyproject.toml", folder / "previews")
    shutil.copy(folder / "my_parts.py", folder / "previews")
    monkeypatch.chdir(folder / "previews")
    run(["info", str(folder)])
    monkeypatch.chdir(folder)
    for command in (["info"], ["sample"], ["evaluate"], ["resume"]):
        run([*command, str(folder)])
        assert not mark.exists(), command
    assert run(["train", "recipe.yaml"]) != 0
    for use in (genlab.load, genlab.resume, genlab.evaluate):
        with pytest.raises(GenlabError):
            use(folder)
    assert not mark.exists()


def test_a_recipe_names_its_plugin_relative_to_itself(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = tmp_path / "mine.yaml"
    recipe.write_text("preset: dcgan\nplugin: my_parts.py\nloss: cubic\ncubic_margin: 3\n")
    monkeypatch.chdir("/")
    assert plugins.of_command_line(["train", str(recipe), "--steps", "1"]) == [
        "train",
        str(recipe),
        "--steps",
        "1",
    ]
    assert resolve(str(recipe)).recipe.own == {"cubic_margin": 3.0}


def test_the_project_of_the_current_folder_names_plugins(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tmp_path / "pyproject.toml"
    monkeypatch.chdir(tmp_path)
    project.write_text('[tool.genlab]\nplugins = ["my_parts.py"]\n')
    plugins.of_command_line(["recipes"])
    assert "cubic" in ADVERSARIAL
    project.write_text('[tool.genlab]\nplugin = ["my_parts.py"]\n')
    with pytest.raises(UsageError, match=r'has "plugin" in .*The only key is plugins'):
        plugins.of_command_line(["recipes"])


def test_the_options_of_the_command_line_are_taken_out_wherever_they_stand(file: Path) -> None:
    tokens = ["train", "dcgan", f"--plugin={file}", "--steps", "3", "--accept-changed"]
    assert plugins.of_command_line(tokens) == ["train", "dcgan", "--steps", "3"]
    assert parts.everything()["gan-loss", "cubic"].accept_changed
    with pytest.raises(UsageError, match="--plugin needs a file"):
        plugins.of_command_line(["train", "--plugin"])


def test_objects_are_registered_under_their_own_names() -> None:
    assert name_of("architecture", Net) == "net"
    assert name_of("architecture", Net) == "net"
    assert parts.everything()["architecture", "net"].origin.file == __file__
    assert name_of("architecture", "dcgan") == "dcgan"
    with pytest.raises(UsageError, match="a lambda has no name"):
        name_of("reconstruction", lambda a, b: a)


class Wrong(Net):
    """Returns one number too few."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).flatten(1)[:, 1:]


class Squashing(nn.Sequential):
    """Ends in tanh."""

    def __init__(self, input_shape: tuple[int, ...], output_shape: tuple[int, ...]) -> None:
        super().__init__(Net(input_shape, output_shape), nn.Tanh())


def nan(reconstruction: Tensor, images: Tensor) -> Tensor:
    return (-(reconstruction - images).square()).flatten(1).sum(1).log()


def one(reconstruction: Tensor, images: Tensor) -> Tensor:
    return (reconstruction - images).square().mean()


def broken(reconstruction: Tensor, images: Tensor) -> Tensor:
    raise KeyError("oh")


@pytest.mark.parametrize(
    ("kind", "value", "preset", "options", "reason"),
    [
        ("architecture", Wrong, "dcgan", {}, r"built for outputs of shape \(batch, .*, and returned shape"),
        ("architecture", Squashing, "dcgan", {}, "ends in Tanh, but genlab applies tanh"),
        ("architecture", Net, "dcgan", {"attention": 8}, "no parameter `attention`"),
        ("reconstruction", nan, "vae", {}, 'NaN in .* in the first step with your reconstruction "nan"'),
        ("reconstruction", one, "vae", {}, r"one number for each of 8 images, shape \(8,\), not shape \(\)"),
        ("reconstruction", broken, "vae", {}, r"raised KeyError: 'oh' \(line \d+ of test_plugins.py\)"),
    ],
)
def test_a_part_that_does_not_do_its_work_is_found_before_anything_is_written(
    kind: str, value: Any, preset: str, options: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    option = {"architecture": "architecture", "reconstruction": "reconstruction"}[kind]
    given = {option: name_of(kind, value), "latent": 2, **TINY, **options}
    with pytest.raises(UsageError, match=reason):
        genlab.train(preset, quiet=True, root=tmp_path / "runs", **given)
    assert not (tmp_path / "runs").exists()


def test_trying_a_part_first_changes_no_bit_of_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def trained() -> dict[str, Tensor]:
        run = genlab.train("dcgan", architecture=name_of("architecture", Net), quiet=True, root=tmp_path, **TINY)
        return genlab.load(run).state_dict()

    tried = trained()
    monkeypatch.setattr("genlab.runs.train.rehearse", lambda run: {})
    assert all(torch.equal(value, tried[name]) for name, value in trained().items())


class Late(Net):
    """Makes a layer when it is first used."""

    def forward(self, x: Tensor) -> Tensor:
        if not hasattr(self, "late"):
            self.late = nn.Linear(1, 1)
        return super().forward(x)


class Detached(Net):
    """Passes no gradient on."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).detach()


class Counting(Net):
    """Has a buffer that changes whenever it is used."""

    def __init__(self, input_shape: tuple[int, ...], output_shape: tuple[int, ...]) -> None:
        super().__init__(input_shape, output_shape)
        self.register_buffer("count", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        self.count = self.count + 1
        return super().forward(x)


class Asserting(Net):
    """Cannot be built."""

    def __init__(self, input_shape: tuple[int, ...], output_shape: tuple[int, ...]) -> None:
        raise AssertionError("only RGB")


def two_arguments(path: object, noisy: Tensor) -> Tensor:
    return noisy


def half(path: object, noisy: Tensor, t: float, s: float) -> Tensor:
    return noisy[..., 1:]


def infinite(path: object, noisy: Tensor, t: float, s: float) -> Tensor:
    return noisy * float("nan")


def without_gradient(reconstruction: Tensor, images: Tensor) -> Tensor:
    return (reconstruction - images).detach().square().flatten(1).sum(1)


def negative(step: int, steps: int) -> float:
    return -1.0


def failing_late(step: int, steps: int) -> float:
    return 1 / (steps - 1 - step)


def one_table(steps: int) -> Tensor:
    return torch.linspace(0, 1, steps + 1)


class Methods:
    """A loss whose functions are methods."""

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return fake.mean() - real.mean()

    def generator(self, fake: Tensor) -> Tensor:
        return -fake.mean()


@dataclass(frozen=True)
class Subclass(Sampler):
    """Fails in its step."""

    def step(self, path: Trajectory, noisy: Tensor, t: float, s: float) -> Tensor:
        raise ValueError(f"no step from {t}")


DIFFUSION = {"timesteps": 4, "sampling_steps": 4, "dropout": 0.0}


@pytest.mark.parametrize(
    ("preset", "options", "reason"),
    [
        ("vae", {"architecture": Late}, r"made .*late.* in `forward`, too late for the optimizer"),
        ("vae", {"architecture": Detached}, r"the encoder.* gets no gradient with your architecture"),
        ("vae", {"architecture": Asserting}, "cannot be built as .*: AssertionError: only RGB"),
        ("vae", {"reconstruction": without_gradient}, "the decoder gets no gradient with your reconstruction"),
        ("vae", {"lr_schedule": negative}, r"0 or more, not -1.0 at step 0 of 4"),
        ("vae", {"lr_schedule": failing_late}, r"raised ZeroDivisionError: .* \(line \d+ of test_plugins.py\)"),
        ("ddpm", {**DIFFUSION, "sampler": two_arguments}, "raised TypeError: two_arguments"),
        (
            "ddpm",
            {**DIFFUSION, "sampler": Subclass},
            'sampler "subclass" raised ValueError: no step from',
        ),
        ("ddpm", {**DIFFUSION, "sampler": half}, "with your sampler .*|raised RuntimeError"),
        ("ddpm", {**DIFFUSION, "sampler": infinite}, "must have the shape .*, not NaN or infinite values"),
        ("ddpm", {**DIFFUSION, "schedule": one_table}, "must return two tables, α and σ, not a Tensor"),
        ("vae", {"regularizers": without_gradient}, "regularizers is a dictionary"),
    ],
)
def test_objects_that_cannot_work_are_refused_before_the_run(
    preset: str, options: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    latent = {} if preset == "ddpm" else {"latent": 2}
    with pytest.raises(GenlabError, match=reason):
        genlab.train(preset, quiet=True, root=tmp_path / "runs", **TINY, **latent, **options)
    assert not (tmp_path / "runs").exists()


def test_a_buffer_that_changes_when_a_model_is_used_is_noted(tmp_path: Path) -> None:
    run = genlab.train("vae", architecture=Counting, latent=2, quiet=True, root=tmp_path, **TINY)
    (note,) = RunFolder(run.folder).events("note")
    assert "count" in note["not reproducible"]
    assert "Change them only if self.training" in note["not reproducible"]


def test_a_loss_can_be_a_class_with_methods(tmp_path: Path) -> None:
    run = genlab.train("dcgan", loss=Methods, architecture=Net, quiet=True, root=tmp_path, **TINY)
    assert len(run.history) > 0


def test_a_function_that_is_defined_anew_in_the_same_file_has_changed(tmp_path: Path) -> None:
    def loss(reconstruction: Tensor, images: Tensor) -> Tensor:
        return (reconstruction - images).abs().flatten(1).sum(1)

    run = genlab.train("vae", reconstruction=loss, latent=2, quiet=True, root=tmp_path, **TINY)

    def loss(reconstruction: Tensor, images: Tensor) -> Tensor:  # type: ignore[no-redef]
        return 1000 * (reconstruction - images).abs().flatten(1).sum(1)

    name_of("reconstruction", loss)
    with pytest.raises(UsageError, match='the reconstruction "loss" has changed since'):
        genlab.resume(run, steps=5, quiet=True)


class Failing:
    """Fails at the second step."""

    def scalars(self, step: int, values: object) -> None:
        if step == 2:
            raise ValueError("oh")


def test_a_part_that_fails_in_a_run_is_named_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(GenlabError, match=r'your callback "failing" raised ValueError: oh \(line \d+ of test_pl'):
        genlab.train("vae", callbacks=[Failing()], latent=2, quiet=True, root=tmp_path, **TINY)

    def broken(history: object, context: object) -> None:
        raise KeyError("loss")

    registered("rule", "broken", broken, symptom="S", why="W")
    with pytest.raises(GenlabError, match=r'your rule "broken" raised KeyError'):
        genlab.doctor("vae", root=tmp_path)


seen: list[int] = []


def nan_later(reconstruction: Tensor, images: Tensor) -> Tensor:
    seen.append(1)
    return (reconstruction - images).abs().flatten(1).sum(1) * (float("nan") if len(seen) > 4 else 1)


def test_a_loss_that_fails_later_is_named(tmp_path: Path) -> None:
    with pytest.raises(NonFiniteError) as caught:
        genlab.train("vae", reconstruction=nan_later, latent=2, quiet=True, root=tmp_path, **TINY)
    assert 'The run uses your reconstruction "nan-later": look there first.' in caught.value.__notes__


def test_a_metric_that_fails_keeps_the_other_figures(tmp_path: Path) -> None:
    run = genlab.train("vae", latent=2, quiet=True, root=tmp_path, **TINY)

    def broken(samples: Tensor, real: Tensor) -> float:
        raise ValueError("boom")

    registered("metric", "broken", broken)
    figures = {figure.name: figure for figure in genlab.evaluate(run, samples=20, extractor="pixels").figures}
    assert figures["broken"].value != figures["broken"].value
    assert 'your metric "broken" raised ValueError: boom' in figures["broken"].note
    assert len(figures) > 5


def with_numpy(reconstruction: Tensor, images: Tensor) -> Tensor:
    return (reconstruction - images).square().flatten(1).sum(1) * np.random.rand()


def test_a_part_that_draws_numbers_of_its_own_is_noted_in_the_run(tmp_path: Path) -> None:
    def notes(loss: Any) -> list[dict[str, Any]]:
        own = name_of("reconstruction", loss)
        run = genlab.train("vae", reconstruction=own, latent=2, quiet=True, root=tmp_path, **TINY)
        return RunFolder(run.folder).events("note")

    assert notes(seeded) == []
    (note,) = notes(with_numpy)
    assert 'your reconstruction "with-numpy" has other bits each time' in note["not reproducible"]


def seeded(reconstruction: Tensor, images: Tensor) -> Tensor:
    return (reconstruction - images).abs().flatten(1).sum(1) + torch.rand(len(images))


def test_a_part_that_was_given_as_an_object_is_asked_for_as_one(tmp_path: Path) -> None:
    run = genlab.train("vae", reconstruction=seeded, latent=2, quiet=True, root=tmp_path, **TINY)
    parts.forget(parts.everything()["reconstruction", "seeded"])
    with pytest.raises(UsageError, match=r"given as an object from .*. Register it first") as caught:
        genlab.load(run)
    assert "--plugin test_plugins.py" not in str(caught.value)


def test_a_rule_of_ones_own_is_asked_with_the_others() -> None:
    registered("rule", "mine", lambda history, context: None, symptom="S", why="W", needs=["loss"])
    assert list(ALL_RULES)[-1] == "mine"
    assert ALL_RULES["mine"].needs == ["loss"]


def test_the_part_says_where_it_is_from() -> None:
    part = Part("gan-loss", "x", None, Origin("a notebook", ""))
    assert part.record() == {"kind": "gan-loss", "name": "x", "file": "a notebook", "sha256": ""}
