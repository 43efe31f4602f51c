"""Download one archive through pip's finder: `python -m datapipe.pip_fetch NAME VERSION SUFFIX TARGET`.

`pip download` would run an sdist's build script to learn its name. pip's finder and session give the same
indexes, proxies and certificates without executing anything of the package. It runs in a process of its
own because these are pip's internals: a change there breaks a fetch with a message, never the product.
"""

from __future__ import annotations

import sys
from pathlib import Path

from pip._internal.commands import create_command
from pip._internal.models.target_python import TargetPython


def main(name: str, version: str, suffix: str, target: str) -> None:
    """Write the archive of `name==version` whose file name ends in `suffix` to `target`."""
    command = create_command("download")
    options, _ = command.parse_args([name])
    with command.main_context():
        session = command.get_default_session(options)  # type: ignore[attr-defined]
        finder = command._build_package_finder(options, session, TargetPython())  # type: ignore[attr-defined]
        links = [c.link for c in finder.find_all_candidates(name) if str(c.version) == version]
        matching = [link for link in links if link.filename.endswith(suffix)]
        if not matching:
            sys.exit(f"no archive {suffix} of {name}=={version} in the configured index")
        response = session.get(matching[0].url_without_fragment, stream=True)
        response.raise_for_status()
        with Path(target).open("wb") as out:
            for block in response.iter_content(1 << 20):
                out.write(block)


if __name__ == "__main__":
    main(*sys.argv[1:])
