"""Things that lie where a file should."""

import os


def make_pipe(path):
    os.mkfifo(path)


def make_folder(path):
    path.mkdir()


def make_loop(path):
    path.symlink_to(path)


def make_nothing(path):
    assert not path.exists()
