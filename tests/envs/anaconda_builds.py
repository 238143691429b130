"""The BLAS packages of a channel, tied together the way Anaconda ties its own.

One package, ``blas``, has a build for each library, and an environment holds one of them. numpy,
scipy and scikit-learn have a build for each, too, which names its ``blas``. oneMKL's builds are the
default on x86-64, those of OpenBLAS track a feature. ``nomkl`` excludes oneMKL's.
"""

from __future__ import annotations

from collections.abc import Mapping

from conda_channel import HERE, Package

LIBRARY = {"mkl": ("mkl", "2025.0.0"), "openblas": ("libopenblas", "0.3.29")}
NONE: Mapping[str, Mapping[str, str]] = {}
USERS = {"numpy": (), "scipy": ("numpy",), "scikit-learn": ("numpy", "scipy")}


def anaconda_builds(
    versions: dict[str, str], *, subdir: str = HERE, files: Mapping[str, Mapping[str, str]] = NONE
) -> list[Package]:
    """Return ``blas``, the libraries, and numpy, scipy and scikit-learn in these versions.

    ``files`` names, for each library and user, the package that holds its files, if any does.
    """
    found = [
        Package("openblas-devel", "0.3.29", depends=("libopenblas 0.3.29",), subdir=subdir),
        Package("nomkl", "3.0", constrains=("blas * openblas",), subdir=subdir),
    ]
    for name, (library, version) in LIBRARY.items():

        def held(user: str, name: str = name) -> tuple[str, ...]:
            found = files.get(name, {})
            return (found[user],) if user in found else ()

        features = () if name == "mkl" else ("nomkl",)
        found.append(Package(library, version, subdir=subdir))
        found.append(Package("blas", "1.0", name, features=features, subdir=subdir))
        tied = (f"blas 1.0 {name}", f"{library} >={version}")
        found += [
            Package(
                user,
                versions[user],
                f"py312_{name}_0",
                depends=(*tied, *others, *held(user)),
                features=features,
                subdir=subdir,
            )
            for user, others in USERS.items()
        ]
    return found
