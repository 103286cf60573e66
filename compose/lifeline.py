"""Run one command for as long as the process that asked for it lives, then remove its directory.

    python lifeline.py OWNER_PID DIRECTORY COMMAND [ARGUMENT …]

Standard input is the lifeline: a pipe whose other end only the owner holds, so that even `kill -9` of the owner
closes it. Standard output says the command's process id, and is closed when the command has ended. Whatever the
command writes goes to standard error.

Started by path and with the standard library only: it has to be up in milliseconds, from any installation.
"""

import os
import select
import shutil
import signal
import subprocess
import sys
import threading

# A child that the owner forked holds the pipe open after the owner's death; then only the parent's id tells.
OWNER_CHECK_SECONDS = 0.5


def main(owner: int, directory: str, command: list[str]) -> None:
    """Start the command, wait for the owner to go, leave nothing behind."""
    # What ends the owner ends us. Ending before it would leave the command without a keeper.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sys.stderr)  # noqa: S603 - the owner's choice
    try:
        threading.Thread(target=_report, args=(server,), daemon=True).start()
        while os.getppid() == owner and not select.select([sys.stdin], [], [], OWNER_CHECK_SECONDS)[0]:
            pass
        server.kill()
        server.wait()
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _report(server: subprocess.Popen[bytes]) -> None:
    """Say the process id, and by closing say that the command has ended."""
    stdout = sys.stdout.fileno()
    os.write(stdout, b"%d\n" % server.pid)
    server.wait()
    os.close(stdout)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3:])
