"""Building generated C++: compiled once, found again without a compiler, and an error where it cannot be."""

import contextlib
import ctypes
import errno
import fcntl
import functools
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from pathlib import Path

import pytest

from rnnkit_compiler.backends.cpp.building import build as building
from rnnkit_compiler.backends.cpp.building import cache, compilation, headers, loading, temporary, toolchain
from rnnkit_compiler.backends.cpp.building.build import build, cache_key
from rnnkit_compiler.backends.cpp.building.compilation import CompileError

COMPILER = shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")
FORTY_TWO = 'extern "C" int answer() { return 42; }\n'
PROGRAM = f"""
from rnnkit_compiler.backends.cpp.building.build import build
print(build({FORTY_TWO!r}).answer())
"""

needs_compiler = pytest.mark.skipif(COMPILER is None, reason="there is no C++ compiler")


def forget():
    """Do as a new process does."""
    building._outcomes.clear()
    building._locks.clear()
    building._warned.clear()
    building._told.clear()
    cache._usable.cache_clear()
    cache._warn_of.cache_clear()
    toolchain._find.cache_clear()


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Build under the test's own folder, with the usual compiler, as a new process."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    monkeypatch.setenv("RNNKIT_CACHE", str(tmp_path / "kernels"))
    for name in ("RNNKIT_CXX", "CXX", "RNNKIT_SHOW"):
        monkeypatch.delenv(name, raising=False)
    forget()
    yield tmp_path / "kernels"
    forget()


@pytest.fixture
def script(tmp_path):
    """Return a function that writes a shell script and gives its path."""

    def write(body, name="compiler"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)
        return path

    return write


class Counted:
    """A compiler that counts how often it is started."""

    def __init__(self, script, tmp_path):
        self.log = tmp_path / "starts"
        self.path = script(f'echo started >> "{self.log}"\nexec {COMPILER} "$@"', "counted")

    @property
    def starts(self):
        return len(self.log.read_text().splitlines()) if self.log.exists() else 0


@pytest.fixture
def counted(script, tmp_path, monkeypatch):
    """Have a counting compiler used."""
    compiler = Counted(script, tmp_path)
    monkeypatch.setenv("RNNKIT_CXX", str(compiler.path))
    return compiler


def in_process(program=PROGRAM, **extra):
    """Start a process that builds; its standard output is piped."""
    command = [sys.executable, "-c", program]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **extra)


def library(folder):
    (path,) = folder.glob("*.so")
    return path


# ---- The toolchain ----


def test_none_switches_the_compiler_off(monkeypatch, caplog):
    monkeypatch.setenv("RNNKIT_CXX", "none")
    assert toolchain.toolchain() is None
    with pytest.raises(CompileError, match="the compiler is switched off by RNNKIT_CXX=none"):
        build(FORTY_TWO)
    assert caplog.messages == []  # it was asked for


def test_a_machine_without_a_compiler_has_no_toolchain_and_says_so_once(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert toolchain.toolchain() is None
    for source in (FORTY_TWO, FORTY_TWO.replace("42", "43")):
        with pytest.raises(CompileError, match="there is no C\\+\\+ compiler; install g\\+\\+"):
            build(source)
    (message,) = caplog.messages
    assert "there is no C++ compiler" in message
    assert message.endswith("cells run on torch's operations, which is slower")


def at_once(action, threads=4):
    """Do something in several threads, all of which begin at the same moment."""
    gate = threading.Barrier(threads)

    def act(k):
        gate.wait()
        with contextlib.suppress(CompileError):
            action(k)

    running = [threading.Thread(target=act, args=(k,)) for k in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()


def slowly(monkeypatch, module, name):
    """Have a function take its time, so that threads meet in it."""
    function = getattr(module, name)

    def slow(*args, **options):
        time.sleep(0.05)
        return function(*args, **options)

    monkeypatch.setattr(module, name, slow)


def test_threads_at_once_say_once_that_there_is_no_compiler(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("RNNKIT_CXX", "gone++")
    slowly(monkeypatch, toolchain, "_command")
    slowly(monkeypatch, building.logger, "warning")
    at_once(lambda k: build(FORTY_TWO.replace("42", str(k))))
    wrong, none = caplog.messages
    assert wrong.startswith("RNNKIT_CXX is 'gone++', which cannot be run")
    assert none.startswith("there is no C++ compiler")


def test_threads_at_once_share_one_folder_where_none_is_safe(folder, monkeypatch, caplog):
    folder.write_text("a file in its place")
    slowly(monkeypatch, cache, "_check_safe")
    slowly(monkeypatch, tempfile, "mkdtemp")
    found = set()
    at_once(lambda _: found.add(cache.cache_folder()))
    assert len(found) == len(caplog.messages) == 1


def test_the_compiler_is_looked_for_in_order(script, tmp_path, monkeypatch):
    bin_folder = tmp_path / "bin"
    monkeypatch.setenv("PATH", str(bin_folder))
    for name in ("clang++", "g++", "c++", "mine", "chosen"):
        script("exit 0", f"bin/{name}")
        if name == "mine":
            monkeypatch.setenv("CXX", "mine")
        if name == "chosen":
            monkeypatch.setenv("RNNKIT_CXX", "chosen")
        toolchain._find.cache_clear()  # a file more on the same PATH
        assert toolchain.toolchain().path == str(bin_folder / name)


def test_a_stale_cxx_is_passed_over_but_a_wrong_choice_is_told(script, tmp_path, monkeypatch, caplog):
    path = script("exit 0", "bin/g++")
    monkeypatch.setenv("PATH", str(path.parent))
    monkeypatch.setenv("CXX", "gone++")
    assert toolchain.toolchain().path == str(path)
    for wrong in ("gone++", "'unfinished", "   "):
        monkeypatch.setenv("RNNKIT_CXX", wrong)
        assert toolchain.toolchain() is None
        assert f"RNNKIT_CXX is {wrong!r}, which cannot be run" in caplog.messages[-1]


def test_a_command_keeps_its_arguments_and_a_path_its_spaces(script, monkeypatch):
    path = script("exit 0", "with spaces/my g++")
    monkeypatch.setenv("RNNKIT_CXX", str(path))
    assert toolchain.toolchain().command == (str(path),)
    monkeypatch.setenv("RNNKIT_CXX", f"'{path}' g++ '-DNAME=a b'")
    assert toolchain.toolchain().command == (str(path), "g++", "-DNAME=a b")


def test_a_relative_path_becomes_absolute(script, monkeypatch):
    path = script("exit 0")
    monkeypatch.chdir(path.parent)
    monkeypatch.setenv("RNNKIT_CXX", "./compiler")
    assert toolchain.toolchain().command == (str(path),)


def test_the_identity_changes_with_each_program_of_the_command(script, monkeypatch):
    launcher, path = script("exit 0", "bin/launcher"), script("exit 0", "bin/g++")
    monkeypatch.setenv("PATH", str(path.parent))
    monkeypatch.setenv("RNNKIT_CXX", "launcher g++")
    identities = {toolchain.toolchain().identity}
    for changed in (launcher, path):
        os.utime(changed, (1, 1))
        toolchain._find.cache_clear()
        identities.add(toolchain.toolchain().identity)
    monkeypatch.setenv("RNNKIT_CXX", "launcher g++ -O1")
    identities.add(toolchain.toolchain().identity)
    assert len(identities) == 4


def test_finding_the_compiler_starts_nothing(counted):
    assert toolchain.toolchain().path == str(counted.path)
    assert counted.starts == 0


@pytest.mark.parametrize(
    ("machine", "native"), [("x86_64", "-march=native"), ("aarch64", "-mcpu=native"), ("arm64", "-mcpu=native")]
)
def test_code_is_for_this_processor_and_keeps_to_the_standard_of_floating_point(machine, native):
    flags = toolchain._flags(machine)
    assert native in flags
    assert not {"-ffast-math", "-Ofast", "-ffinite-math-only", "-fassociative-math"} & set(flags)


def test_the_instruction_set_goes_by_the_features_and_by_nothing_that_changes(tmp_path):
    assert toolchain.instruction_set() == toolchain.instruction_set()
    assert toolchain._listed_in(tmp_path / "missing") == ""
    listing = tmp_path / "cpuinfo"

    def features(flags, megahertz):
        block = f"processor\t: 0\ncpu MHz\t\t: {megahertz}\nflags\t\t: {flags}\n\n"
        listing.write_text(block + block.replace("sse2", "other"))
        return toolchain._listed_in(listing)

    assert features("sse2 avx", 1000) == features("sse2 avx", 2000) == "flags\t\t: sse2 avx\n"
    assert features("sse2 avx", 1000) != features("sse2 avx avx512f", 1000)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc/cpuinfo is Linux's")
def test_this_machine_lists_its_features():
    assert len(toolchain._listed_in("/proc/cpuinfo")) > 20


def test_macos_is_asked_by_sysctl(monkeypatch):
    answer = subprocess.CompletedProcess([], 0, stdout="machdep.cpu.brand_string: Apple M1\n")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: answer)
    assert toolchain._asked_of_sysctl() == answer.stdout

    def fail(*_, **__):
        raise FileNotFoundError

    monkeypatch.setattr(subprocess, "run", fail)
    assert toolchain._asked_of_sysctl() == ""


# ---- Building ----


@needs_compiler
def test_a_source_is_compiled_once_and_found_again(folder, counted):
    first = build(FORTY_TWO)
    assert first.answer() == 42
    assert build(FORTY_TWO) is first
    assert counted.starts == 1
    forget()
    assert build(FORTY_TWO).answer() == 42
    assert counted.starts == 1
    assert library(folder).with_suffix(".cpp").read_text() == FORTY_TWO
    assert os.listdir(tempfile.gettempdir()) == []


@needs_compiler
def test_sources_that_differ_are_libraries_that_differ(counted):
    assert build(FORTY_TWO).answer() == 42
    assert build(FORTY_TWO.replace("42", "43")).answer() == 43
    assert build(FORTY_TWO).answer() == 42
    assert counted.starts == 2


@needs_compiler
def test_it_is_said_once_that_kernels_are_compiled(folder, counted, caplog):
    caplog.set_level("INFO", "rnnkit")
    for answer in ("42", "43"):
        build(FORTY_TWO.replace("42", answer))
    assert caplog.messages == [f"compiling kernels, once on this machine; they are kept in {folder}"]
    forget()
    build(FORTY_TWO)
    assert len(caplog.messages) == 1  # it is there


@needs_compiler
def test_a_warm_process_does_not_start_the_compiler(counted):
    for _ in range(2):
        out, err = in_process().communicate(timeout=100)
        assert (out, err) == ("42\n", "")
    assert counted.starts == 1


@needs_compiler
def test_processes_that_compile_the_same_at_once_all_succeed(folder, script, tmp_path):
    compiler = script(f'echo started >> "{tmp_path}/starts"\nsleep 0.5\nexec {COMPILER} "$@"')
    program = f"import rnnkit_compiler.backends.cpp.building.build\nprint('ready', flush=True)\ninput()\n{PROGRAM}"
    environment = {**os.environ, "RNNKIT_CXX": str(compiler)}
    processes = [in_process(program, stdin=subprocess.PIPE, env=environment) for _ in range(8)]
    assert [process.stdout.readline() for process in processes] == ["ready\n"] * 8
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    assert [process.communicate(timeout=100) for process in processes] == [("42\n", "")] * 8
    assert (tmp_path / "starts").read_text() == "started\n" * 8
    assert sorted(path.suffix for path in folder.iterdir()) == [".cpp", ".json", ".so"]
    assert cache.fetch(library(folder).stem) is not None
    assert os.listdir(tempfile.gettempdir()) == []


@needs_compiler
def test_threads_that_ask_for_the_same_share_one_build(counted):
    libraries = []
    threads = [threading.Thread(target=lambda: libraries.append(build(FORTY_TWO))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(libraries) == 8
    assert len(set(map(id, libraries))) == 1
    assert counted.starts == 1


@needs_compiler
def test_a_fork_during_a_build_does_not_hold_up_the_child(script, tmp_path):
    slow = script(f'touch "{tmp_path}/begun"\nsleep 1\nexec {COMPILER} "$@"')
    program = f"""
import os, threading, time
from rnnkit_compiler.backends.cpp.building.build import build
thread = threading.Thread(target=build, args=({FORTY_TWO!r},))
thread.start()
while not os.path.exists({str(tmp_path / "begun")!r}): time.sleep(0.001)
child = os.fork()
if child == 0:
    os._exit(build({FORTY_TWO!r}).answer())
thread.join()
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    process = in_process(program, env={**os.environ, "RNNKIT_CXX": str(slow)})
    try:
        assert process.communicate(timeout=30)[0] == "42\n"
    finally:
        process.kill()
        process.wait()


@needs_compiler
def test_a_tampered_kernel_is_compiled_anew_and_never_loaded(folder, counted):
    build(FORTY_TWO)
    data = bytearray(library(folder).read_bytes())
    data[len(data) // 2] ^= 1
    library(folder).write_bytes(data)
    forget()
    assert build(FORTY_TWO).answer() == 42
    assert counted.starts == 2
    forget()
    assert build(FORTY_TWO).answer() == 42
    assert counted.starts == 2


@needs_compiler
def test_another_library_in_its_place_is_never_loaded(folder, counted):
    build(FORTY_TWO.replace("42", "666"))
    evil = library(folder).read_bytes()
    cache.clear_cache()
    build(FORTY_TWO)
    library(folder).write_bytes(evil)
    forget()
    assert build(FORTY_TWO).answer() == 42
    assert counted.starts == 3


@needs_compiler
def test_what_runs_is_what_was_checked_even_if_the_file_changes_in_between(folder, monkeypatch):
    build(FORTY_TWO.replace("42", "666"))
    evil = library(folder).read_bytes()
    cache.clear_cache()
    build(FORTY_TWO)
    forget()
    fetch = cache.fetch

    def fetch_and_replace(key):
        data = fetch(key)
        library(folder).write_bytes(evil)
        return data

    monkeypatch.setattr(building, "fetch", fetch_and_replace)
    assert build(FORTY_TWO).answer() == 42


@needs_compiler
def test_a_stored_kernel_that_does_not_load_is_compiled_anew(counted):
    key = cache_key(FORTY_TWO, toolchain.toolchain())
    cache.store(key, b"whole, but no library", FORTY_TWO, {})
    assert build(FORTY_TWO).answer() == 42
    assert counted.starts == 1
    forget()
    assert build(FORTY_TWO).answer() == 42
    assert counted.starts == 1


@needs_compiler
@pytest.mark.parametrize("unusable", ["open to all", "a file", "read-only"])
def test_where_kernels_cannot_be_kept_they_are_compiled_all_the_same(folder, counted, unusable, monkeypatch):
    if unusable == "a file":
        folder.write_text("")
    else:
        folder.mkdir()
        folder.chmod(0o777 if unusable == "open to all" else 0o500)
    if unusable == "read-only" and os.geteuid() == 0:  # whom modes do not stop
        mkstemp = tempfile.mkstemp

        def refuse(*args, **options):
            if options.get("dir") == folder:
                raise PermissionError(13, "Permission denied")
            return mkstemp(*args, **options)

        monkeypatch.setattr(tempfile, "mkstemp", refuse)
    assert build(FORTY_TWO).answer() == 42
    assert build(FORTY_TWO).answer() == 42
    assert counted.starts == 1
    assert folder.is_file() or list(folder.iterdir()) == []


@needs_compiler
def test_folders_may_have_spaces_in_their_names(script, tmp_path, monkeypatch):
    compiler = script(f'exec {COMPILER} "$@"', "with spaces/my compiler")
    copied = tmp_path / "with spaces" / "some headers"
    shutil.copytree(headers.HEADERS, copied)
    use_headers(monkeypatch, copied)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "with spaces"))
    monkeypatch.setenv("RNNKIT_CACHE", str(tmp_path / "with spaces" / "kernels"))
    monkeypatch.setenv("RNNKIT_CXX", str(compiler))
    source = f'#define REAL float\n#include "vector.h"\n{FORTY_TWO}'
    assert build(source).answer() == 42
    forget()
    assert build(source).answer() == 42


@needs_compiler
def test_a_compiler_may_come_with_a_launcher_and_arguments(script, tmp_path, monkeypatch):
    script(f'echo "$1" > "{tmp_path}/launched"\nexec "$@"', "bin/ccache")
    monkeypatch.setenv("PATH", f"{tmp_path}/bin{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("CXX", f"ccache {COMPILER} -DANSWER=7")
    assert build('extern "C" int answer() { return ANSWER; }').answer() == 7
    assert (tmp_path / "launched").read_text().strip() == COMPILER


def use_headers(monkeypatch, folder):
    monkeypatch.setattr(headers, "HEADERS", folder)


@needs_compiler
def test_a_changed_header_counts(tmp_path, monkeypatch):
    use_headers(monkeypatch, tmp_path)
    source = '#include "number.h"\nextern "C" int answer() { return NUMBER; }'
    for number in (1, 2, 1):
        (tmp_path / "number.h").write_text(f"#define NUMBER {number}\n")
        forget()
        assert build(source).answer() == number


@needs_compiler
def test_headers_are_found_in_an_archive(tmp_path):
    """As where a wheel is put on the path as it is."""
    package = Path(loading.__file__).parents[3]
    with zipfile.ZipFile(tmp_path / "wheel.zip", "w") as archive:
        for path in [*package.rglob("*.py"), *package.rglob("*.h")]:
            archive.write(path, path.relative_to(package.parent))
    source = f'#define REAL float\n#include "vector.h"\n{FORTY_TWO}'
    program = f"""
import sys
sys.path.insert(0, {str(tmp_path / "wheel.zip")!r})
from rnnkit_compiler.backends.cpp.building.build import build
print(".zip" in build.__code__.co_filename, build({source!r}).answer())
"""
    assert in_process(program).communicate(timeout=100) == ("True 42\n", "")


def test_the_key_covers_all_that_the_code_depends_on(tmp_path, monkeypatch):
    tools = toolchain.Toolchain(("c++",), ("-O3",), "one")
    use_headers(monkeypatch, tmp_path)
    keys = [cache_key("a", tools), cache_key("b", tools)]
    keys += [cache_key("a", tools._replace(identity="two")), cache_key("a", tools._replace(flags=("-O2",)))]
    (tmp_path / "a.h").write_text("text")
    keys.append(cache_key("a", tools))
    (tmp_path / "a.h").rename(tmp_path / "b.h")
    keys.append(cache_key("a", tools))
    monkeypatch.setattr(building, "instruction_set", lambda: "another")
    keys.append(cache_key("a", tools))
    assert len(set(keys)) == len(keys)
    assert all(cache.OURS.fullmatch(f"{key}.so") for key in keys)
    assert cache_key("a", tools) == keys[-1]


@needs_compiler
def test_the_compiler_keeps_its_temporary_files_to_a_folder_that_goes(script, tmp_path, monkeypatch):
    body = f'echo "$TMPDIR" > "{tmp_path}/folder"\ntouch "$TMPDIR/left over"\nexec {COMPILER} "$@"'
    monkeypatch.setenv("RNNKIT_CXX", str(script(body)))
    build(FORTY_TWO)
    used = Path((tmp_path / "folder").read_text().strip())
    assert used.parent == tmp_path / "temporary"
    assert not used.exists()


@needs_compiler
@pytest.mark.parametrize(("value", "times"), [("1", 1), ("0", 0), ("", 0)])
def test_the_source_is_shown_once_on_request(monkeypatch, capfd, value, times):
    build(FORTY_TWO)
    forget()
    monkeypatch.setenv("RNNKIT_SHOW", value)
    build(FORTY_TWO)
    build(FORTY_TWO)
    assert capfd.readouterr().err.count(FORTY_TWO) == times


@needs_compiler
def test_a_warm_start_is_quick(folder, counted):
    """The budget is 5 ms; a machine that does other things at the same time is given some of its own."""
    comment = "// a kernel as long as a long one is\n" * 1000
    source = f'{comment}extern "C" {{ extern const char values[250000]; const char values[250000] = {{1}}; }}'
    build(source)
    assert library(folder).stat().st_size > 250_000
    seconds = []
    for _ in range(20):
        forget()
        start = time.perf_counter()
        build(source)
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.005
    assert counted.starts == 1


# ---- Failures ----


@needs_compiler
def test_an_error_quotes_the_compiler_and_keeps_all_that_it_said(folder):
    with pytest.raises(CompileError) as caught:
        build("int first() { return missing; }\nint second() { return absent; }\n")
    message = str(caught.value)
    assert "kernel.cpp:1:22: error:" in message
    assert "missing" in message
    assert "absent" not in message
    assert "\n" not in message
    assert caught.value.log.parent == folder
    assert str(caught.value.log) in message
    assert "absent" in caught.value.log.read_text()
    assert sorted(path.suffix for path in folder.iterdir()) == [".cpp", ".log"]
    assert os.listdir(tempfile.gettempdir()) == []


FAILURES = {
    "echo starting; echo 'kernel.cpp: fatal error: too hot' >&2; exit 1": "status 1: kernel.cpp: fatal error: too hot",
    "exit 1": "it ended with status 1 (all of it",
    "echo 'not today'; exit 3": "it ended with status 3: not today",
    "kill -SEGV $$": "it ended with status -11",
    "exit 0": "it left no library",
    ": > kernel.so": "it left no library",
    "echo rubbish > kernel.so": "a compiled kernel does not load",
}


@pytest.mark.parametrize("body", FAILURES)
def test_a_compiler_that_fails_is_asked_once(folder, script, tmp_path, monkeypatch, body):
    monkeypatch.setenv("RNNKIT_CXX", str(script(f'echo started >> "{tmp_path}/starts"\n{body}')))
    for _ in range(3):
        with pytest.raises(CompileError) as caught:
            build(FORTY_TWO)
        assert FAILURES[body] in str(caught.value)
        assert "RNNKIT_CXX=none" in str(caught.value)
    assert (tmp_path / "starts").read_text() == "started\n"
    assert list(folder.glob("*.so")) == []
    assert os.listdir(tempfile.gettempdir()) == []


LIMIT = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
from rnnkit_compiler.backends.cpp.building.build import build
try:
    print(build(sys.argv[2]).answer())
except Exception as error:
    print(error)
"""
LARGE = "static volatile char large[6 << 20] = {1};\n"
TOO_SMALL = "files may have {} KiB here (ulimit -f), and the compiler needs larger ones; raise that limit"


@needs_compiler
@pytest.mark.parametrize("limit", [4, 100, 2000])
@pytest.mark.parametrize("source", [LARGE + FORTY_TWO, "no C++"])
def test_a_limit_of_the_size_of_files_is_said_where_it_is_in_the_way(limit, source):
    command = [sys.executable, "-c", LIMIT, str(limit * 1024), source]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if source == "no C++" and limit > 4:  # where the headers find room
        assert "error" in said
        assert "did not compile a kernel" in said
    else:
        assert said.startswith(f"a kernel cannot be compiled: {TOO_SMALL.format(f'{limit:,}')}")


def test_a_compiler_that_ends_by_the_limit_itself_is_told_so(script):
    command = [sys.executable, "-c", LIMIT, str(8 << 20), FORTY_TWO]
    environment = {**os.environ, "RNNKIT_CXX": str(script("kill -XFSZ $$"))}
    said = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout
    assert said.startswith(f"a kernel cannot be compiled: {TOO_SMALL.format('8,192')}")


def test_a_compiler_that_cannot_be_run_is_an_error(script, monkeypatch):
    path = script("")
    path.write_text("#!/no/such/interpreter\n")
    monkeypatch.setenv("RNNKIT_CXX", str(path))
    with pytest.raises(CompileError, match="it cannot be run"):
        build(FORTY_TWO)


def test_a_compiler_that_hangs_is_killed_with_all_that_it_started(script, tmp_path, monkeypatch):
    monkeypatch.setenv("RNNKIT_CXX", str(script(f'sleep 60 & echo $! > "{tmp_path}/child"\nwait')))
    monkeypatch.setattr(compilation, "TIMEOUT", 0.5)
    start = time.monotonic()
    with pytest.raises(CompileError, match=r"it took more than 0\.5 s"):
        build(FORTY_TWO)
    assert time.monotonic() - start < 10
    assert not running(int((tmp_path / "child").read_text()))


def running(pid, patience=5.0):
    """Say whether a process still runs after a while; one that is dead and not yet reaped does not."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        try:
            os.kill(pid, 0)
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except ProcessLookupError:
            return False
        except FileNotFoundError:  # a system without /proc, or gone in between: asked again
            state = ""
        if state == "Z":
            return False
        time.sleep(0.01)
    return True


def test_an_interrupted_build_kills_the_compiler_and_can_be_tried_again(script, tmp_path, monkeypatch):
    monkeypatch.setenv("RNNKIT_CXX", str(script(f'echo $$ > "{tmp_path}/child"\nexec sleep 60')))
    wait = subprocess.Popen.wait

    def interrupted(compiler, timeout=None):
        if timeout is None:
            return wait(compiler)
        while not (tmp_path / "child").exists() or not (tmp_path / "child").read_text():
            time.sleep(0.001)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(subprocess.Popen, "wait", interrupted)
        with pytest.raises(KeyboardInterrupt):
            build(FORTY_TWO)
    assert not running(int((tmp_path / "child").read_text()))
    assert os.listdir(tempfile.gettempdir()) == []
    (tmp_path / "compiler").write_text("#!/bin/sh\nexit 1\n")
    with pytest.raises(CompileError, match="it ended with status 1"):
        build(FORTY_TWO)


@needs_compiler
def test_a_killed_process_leaves_temporary_names_only(folder, script, tmp_path):
    slow = script(f'touch "{tmp_path}/begun"\nexec sleep 60')
    process = in_process(env={**os.environ, "RNNKIT_CXX": str(slow)})
    while not (tmp_path / "begun").exists():
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.communicate()
    assert list(folder.iterdir()) == []
    (left,) = Path(tempfile.gettempdir()).iterdir()
    assert cache.TEMPORARY.fullmatch(left.name)
    assert stat.S_IMODE(left.stat().st_mode) == 0o700
    assert build(FORTY_TWO).answer() == 42
    assert list(Path(tempfile.gettempdir()).iterdir()) == []


def test_a_folder_stays_while_its_process_lives_and_goes_with_it(tmp_path):
    held = Path(tempfile.gettempdir(), "rnnkit-kernel-held.tmp")
    held.mkdir()
    descriptor = temporary.hold(held)
    os.utime(held, (0, 0))
    cache.prune()
    assert held.exists()
    os.close(descriptor)
    cache.prune()
    assert not held.exists()


def test_a_folder_that_was_never_locked_goes_by_its_age():
    for begun in (False, True):
        left = Path(tempfile.gettempdir(), "rnnkit-kernel-begun.tmp")
        left.mkdir()
        if begun:
            (left / temporary.LOCK).touch()
        cache.prune()
        assert left.exists()
        os.utime(left, (0, 0))
        cache.prune()
        assert not left.exists()


def test_without_locks_a_kernel_is_compiled_all_the_same(monkeypatch):
    def unsupported(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", unsupported)
    assert build(FORTY_TWO).answer() == 42
    assert os.listdir(tempfile.gettempdir()) == []


@needs_compiler
@pytest.mark.parametrize("temporary", ["missing", "full", "full in the middle"])
def test_without_room_for_temporary_files_the_cache_folder_is_used(folder, script, tmp_path, monkeypatch, temporary):
    if temporary == "missing":
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    elif temporary == "full":
        refuse_to_write(monkeypatch, tmp_path / "temporary", errno.ENOSPC)
    else:
        refuse_to_write(monkeypatch, tmp_path / "temporary", errno.ENOSPC, "room")
        body = f'case "$PWD" in */temporary/*) exit 1;; esac\nexec {COMPILER} "$@"'
        monkeypatch.setenv("RNNKIT_CXX", str(script(body)))
    assert build(FORTY_TWO).answer() == 42
    assert sorted(path.suffix for path in folder.iterdir()) == [".cpp", ".json", ".so"]


def refuse_to_write(monkeypatch, folder, number, name=""):
    """Have nothing written under a folder, or no file whose name ends so, as where a disk is full."""
    write = Path.write_text, Path.write_bytes

    def refuse(path, data, *args, which, **options):
        if path.is_relative_to(folder) and path.name.endswith(name):
            raise OSError(number, os.strerror(number))
        return write[which](path, data, *args, **options)

    monkeypatch.setattr(Path, "write_text", functools.partialmethod(refuse, which=0))
    monkeypatch.setattr(Path, "write_bytes", functools.partialmethod(refuse, which=1))


def test_without_room_anywhere_there_is_an_error(tmp_path, monkeypatch, script):
    monkeypatch.setenv("RNNKIT_CXX", str(script("exit 1")))
    refuse_to_write(monkeypatch, tmp_path, errno.EFBIG)
    with pytest.raises(CompileError, match=r"a kernel cannot be compiled: .*File too large"):
        build(FORTY_TWO)


PLACES = ("_from_memory", "_from_folder", "_from_cache")


@needs_compiler
@pytest.mark.parametrize("place", PLACES)
def test_a_library_is_loaded_from_the_first_place_that_takes_it(monkeypatch, place):
    build(FORTY_TWO)
    forget()

    def refuse(*_):
        raise OSError(errno.EACCES, "failed to map segment")

    for other in PLACES[: PLACES.index(place)]:
        monkeypatch.setattr(loading, other, refuse)
    monkeypatch.setenv("RNNKIT_CXX", f"{COMPILER}")
    load = getattr(loading, place)
    used = []
    monkeypatch.setattr(loading, place, lambda *asked: used.append(place) or load(*asked))
    assert build(FORTY_TWO).answer() == 42
    assert used == [place]


@needs_compiler
def test_libraries_in_memory_are_told_apart(monkeypatch):
    """Their descriptors have the same number, since each is closed before the next is opened."""
    monkeypatch.setattr(loading, "_from_folder", None)
    assert [build(FORTY_TWO.replace("42", str(k))).answer() for k in range(5)] == [0, 1, 2, 3, 4]


@needs_compiler
def test_what_is_loaded_where_it_lies_is_what_was_checked(folder, monkeypatch):
    build(FORTY_TWO)
    (key,) = {path.stem for path in folder.iterdir()}
    library = cache.fetch(key)
    assert loading._from_cache(library, key).answer() == 42
    with pytest.raises(OSError, match="no kernel is stored"):
        loading._from_cache(library + b"more", key)
    (folder / f"{key}.so").chmod(0o666)
    with pytest.raises(PermissionError, match="others can write to it"):
        loading._from_cache(library, key)


@needs_compiler
@pytest.mark.parametrize("limit", ["ulimit -f 1", "export TMPDIR=/proc", "export RNNKIT_CXX=false"])
def test_kernels_in_the_cache_run_whatever_has_failed_since(limit):
    build(FORTY_TWO)
    command = ["sh", "-c", f'{limit}; exec "$@"', "sh", sys.executable, "-c", PROGRAM]
    process = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert process.stdout == "42\n", process.stderr
    told = process.stderr.splitlines()
    assert len(told) == ("CXX" in limit)
    assert all("did not compile a kernel" in line and line.endswith("runs in its place") for line in told)


@needs_compiler
def test_without_a_compiler_a_kernel_of_before_runs(monkeypatch, tmp_path, caplog):
    build(FORTY_TWO)
    forget()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert build(FORTY_TWO).answer() == 42
    assert "there is no C++ compiler" in caplog.messages[-1]
    with pytest.raises(CompileError):
        build(FORTY_TWO.replace("42", "43"))


@needs_compiler
def test_a_compiler_that_fails_is_complained_of_once(script, monkeypatch, caplog):
    monkeypatch.setenv("RNNKIT_CXX", str(script("echo 'error: no licence'; exit 1")))
    for k in range(3):
        with pytest.raises(CompileError):
            build(FORTY_TWO.replace("42", str(k)))
    (message,) = caplog.messages
    assert "it ended with status 1: error: no licence" in message
    assert message.endswith("; cells run on torch's operations, which is slower")


def test_errors_are_new_each_time_so_that_tracebacks_do_not_grow(script, monkeypatch):
    monkeypatch.setenv("RNNKIT_CXX", str(script("exit 1")))
    lengths = []
    for _ in range(3):
        with pytest.raises(CompileError) as caught:
            build(FORTY_TWO)
        lengths.append(len(caught.traceback))
    assert len(set(lengths)) == 1


@needs_compiler
def test_a_library_is_one_of_ctypes(folder):
    assert isinstance(build(FORTY_TWO), ctypes.CDLL)


def test_the_comment_at_the_head_of_a_source_is_no_part_of_its_key():
    tools = toolchain.toolchain()
    assert cache_key("// a\n//\n\n#define REAL float\n", tools) == cache_key("// b\n#define REAL float\n", tools)
    assert cache_key("// a\n#define REAL float\n", tools) != cache_key("// a\n#define REAL double\n", tools)
