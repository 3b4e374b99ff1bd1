"""What is written: a header for C and C++, libraries without needs, a program of sound."""

import re
import subprocess
import wave
from pathlib import Path

import numpy as np
import pytest

from rnn_engine import Input, Sequential
from rnn_engine.__main__ import main
from rnn_engine.exporting import build
from rnn_engine.layers import GRU, LSTM, Conv1D, Dense, Dropout, SimpleRNN
from tests.export.models import HERE, STRICT, Program, compiled, made, predicted

ROOT = Path(__file__).parents[2]
API = {
    "net_state_size", "net_features", "net_outputs", "net_init", "net_reset", "net_step",
    "net_process", "net_predict",
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("exported") / "net"
    made("stack").export(place, format="c")
    return place


def run(*command, cwd=None):
    done = subprocess.run(list(map(str, command)), cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def symbols(*arguments):
    """Return what nm lists, as {name: kind}."""
    return {line.split()[0]: line.split()[1] for line in run("nm", "-P", *arguments).splitlines()
            if len(line.split()) > 1}  # fmt: skip


def test_the_folder(folder):
    assert {file.name for file in folder.iterdir()} == {
        "net.h", "net.c", "net_weights.bin", "net_engine.o", "libnet.a", "libnet.so"
    }  # fmt: skip


def test_the_header_is_c_and_cpp_and_the_source_c_without_a_warning(folder):
    for command in (["cc", "-std=c99"], ["cc", "-std=c11"], ["c++", "-std=c++98", "-x", "c++"]):
        run(*command, *STRICT, "-fsyntax-only", "-include", "net.h", "-x",
            "c++" if "c++" in command else "c", "/dev/null", cwd=folder)  # fmt: skip
    run("cc", "-std=c99", *STRICT, "-Wno-overlength-strings", "-fsyntax-only", "net.c", cwd=folder)


def test_the_libraries_need_nothing_and_show_their_functions_alone(folder):
    archive = symbols(folder / "libnet.a")
    assert {name for name, kind in archive.items() if kind.isupper() and kind != "U"} == API
    assert {name for name, kind in archive.items() if kind == "U"} <= build._ALLOWED
    assert not [name for name in archive if "numba" in name.lower() and name.startswith("U")]
    assert set(symbols("-D", "--defined-only", folder / "libnet.so")) == API
    needed = {name.partition("@")[0] for name, kind in symbols("-D", folder / "libnet.so").items()
              if kind == "U"}  # fmt: skip
    assert needed <= build._ALLOWED
    dynamic = run("readelf", "-d", folder / "libnet.so")
    assert "TEXTREL" not in dynamic
    assert "libm." not in dynamic
    (stack,) = [
        line for line in run("readelf", "-lW", folder / "libnet.so").splitlines()
        if "GNU_STACK" in line
    ]  # fmt: skip
    assert " RW " in stack


def test_nothing_can_be_written_to(folder):
    """No global variable: what is not code is read only, but for addresses the loader fills in."""
    sections = run("objdump", "-h", folder / "libnet.a").splitlines()
    sizes = {line.split()[1]: int(line.split()[2], 16) for line in sections
             if len(line.split()) == 7 and line.split()[0].isdigit()}  # fmt: skip
    assert sizes[".rodata"] > 0
    assert sizes.get(".data", 0) == sizes.get(".bss", 0) == 0


@pytest.mark.parametrize(
    ("source", "word"),
    [
        ("void numba_gil_ensure(void); void net_init(void) { numba_gil_ensure(); }", "numba_gil"),
        ("int counter; void net_init(void) { counter++; }", "counter"),
        ("static int count; int net_init(void) { return count++; }", "count"),
        ("int net_init(void) { return 1; } int net_other(void) { return 2; }", "net_other"),
    ],
)
def test_a_library_with_needs_or_variables_is_refused(tmp_path, source, word):
    (tmp_path / "bad.c").write_text(source)
    run("cc", "-c", "bad.c", cwd=tmp_path)
    with pytest.raises(RuntimeError, match=word):
        build.check_symbols(tmp_path / "bad.o", "net")


@pytest.mark.parametrize(
    "layer", [Dense(1), Conv1D(1, 1), SimpleRNN(1, activation="linear", return_sequences=True)]
)
def test_denormal_numbers_are_zero_inside_and_stay_what_they_are_outside(tmp_path, layer):
    model = Sequential([Input((None, 1)), layer])
    layer.kernel.assign(np.full(layer.kernel.shape, 1e-10))
    model.export(tmp_path / "net", format="c")
    (tmp_path / "small.c").write_text("""
#include <stdio.h>
#include "net.h"
int main(void)
{
    const float x[] = {1e-30f};
    volatile float small = 1e-38f, y[1];
    net_predict(x, 1, 1, (float *)y);
    small *= 0.01f;
    return !(y[0] == 0.0f && small > 0.0f);
}
""")
    run(compiled(tmp_path / "net", tmp_path / "small.c", "libnet.a"))
    assert predicted(model, np.full((1, 1, 1), 1e-30, np.float32)) == 0.0


def test_a_name_does_not_get_out_of_its_comment(tmp_path):
    name = "* #error @NAME@ \\\n#error"
    model = Sequential([Input((None, 1)), Dense(1, name=name)])
    model.export(tmp_path / "net", format="c")
    run("cc", "-std=c99", *STRICT, "-fsyntax-only", "net.c", cwd=tmp_path / "net")
    assert "__error" in (tmp_path / "net" / "net.h").read_text()


def test_a_model_that_does_nothing(tmp_path):
    model = Sequential([Input((None, 2)), Dropout(0.5)])
    program = Program(model, tmp_path)
    x = np.arange(10, dtype=np.float32).reshape(1, 5, 2)
    for mode in ("cuts", "place"):
        assert np.array_equal(program.run(x, mode, 3, 2), x[0])


def test_the_command_converts_a_file(tmp_path, capsys, monkeypatch):
    model = made("gru_last")
    model.save(tmp_path / "m.keras")
    assert main(["convert", str(tmp_path / "m.keras"), f"{tmp_path}/net/"]) == 0
    x = np.ones((1, 9, 2), np.float32)
    program = compiled(tmp_path / "net", HERE / "drive.c", "libnet.a")
    done = subprocess.run([str(program), "cuts", "9"], input=x.tobytes(), capture_output=True)
    assert np.array_equal(np.frombuffer(done.stdout, np.float32)[:2], predicted(model, x)[0])
    monkeypatch.setenv("CC", "no-such-compiler")
    assert main(["convert", str(tmp_path / "m.keras"), f"{tmp_path}/other/"]) == 1
    assert "no-such-compiler" in capsys.readouterr().err
    assert not (tmp_path / "other").exists()


def test_the_page_about_it(tmp_path, monkeypatch):
    """Its program exports, and what it shows in C compiles against that."""
    text = (ROOT / "docs" / "export_c.md").read_text()
    blocks = dict(re.findall(r"```(python|c)\n(.*?)```", text, flags=re.DOTALL))
    monkeypatch.chdir(tmp_path)
    exec(compile(blocks["python"], "export_c.md", "exec"), {})
    include, calls = blocks["c"].split("\n", 1)
    (tmp_path / "page.c").write_text(
        f"{include}\nstatic float x[64], y[64];\nint main(void)\n{{\n    const size_t batch = 2, "
        f"steps = 32;\n    float sample = 1.0f, z;\n{calls.replace('&y', '&z')}    return 0;\n}}\n"
    )
    run(compiled(tmp_path / "effect", tmp_path / "page.c", "libeffect.a"))


def test_two_models_in_a_program_and_one_of_them_shared(tmp_path):
    one = Sequential([Input((None, 1)), LSTM(4)])
    two = Sequential([Input((None, 1)), GRU(3, return_sequences=True), Dense(4)])
    one.export(tmp_path / "one", format="c")
    two.export(tmp_path, format="c", name="two")
    (tmp_path / "both.c").write_text("""
#include <stdio.h>
#include "one/one.h"
#include "two.h"
int main(void)
{
    const float x[] = {1.0f, -0.5f, 0.25f};
    float y[16];
    one_predict(x, 1, 3, y);
    two_predict(x, 1, 3, y + 4);
    return fwrite(y, sizeof *y, 16, stdout) != 16;
}
""")
    x = np.float32([[[1.0], [-0.5], [0.25]]])
    expected = np.concatenate([predicted(one, x).ravel(), predicted(two, x).ravel()])
    for libraries in (["one/libone.a", "libtwo.a"], ["one/libone.a", "-L.", "-ltwo"]):
        path = compiled(tmp_path, tmp_path / "both.c", *libraries, "-Wl,-rpath,$ORIGIN")
        out = subprocess.run([str(path)], capture_output=True, check=True).stdout
        assert np.array_equal(np.frombuffer(out, np.float32), expected)


def test_a_program_that_runs_an_effect_on_a_file_of_sound(tmp_path):
    model = Sequential([Input((None, 1)), GRU(20, return_sequences=True), Dense(1)])
    model.export(tmp_path / "effect", format="c")
    rng = np.random.default_rng(0)
    time = np.arange(3000) / 16000
    sound = 9000 * np.sin(2 * np.pi * 440 * time) + rng.normal(0, 3000, 3000)
    samples = np.clip(sound, -32768, 32767).astype("<i2")
    with wave.open(str(tmp_path / "in.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(samples.tobytes())
    library = tmp_path / "effect" / "libeffect.a"
    source = ROOT / "examples" / "effect.c"
    program = compiled(tmp_path / "effect", source, str(library))
    run(program, tmp_path / "in.wav", tmp_path / "out.wav")
    with wave.open(str(tmp_path / "out.wav"), "rb") as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 16000)
        found = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    x = samples.astype(np.float32) / np.float32(32768)
    y = predicted(model, x[None, :, None])[0, :, 0] * np.float32(32768)
    rounded = np.trunc(
        np.clip(y, -32768, 32767) + np.where(y < 0, np.float32(-0.5), np.float32(0.5))
    )
    assert np.abs(found).max() > 100
    assert np.array_equal(found, np.clip(rounded, -32768, 32767).astype("<i2"))
