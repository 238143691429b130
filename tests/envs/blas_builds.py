"""The BLAS packages of a channel, tied together the way conda-forge ties its own.

Facts from the recipes of conda-forge's blas-feedstock and lapack-feedstock: four packages
(libblas, libcblas, liblapack and the selector blas) exist once per implementation; each build
names its siblings exactly and constrains ``blas`` to its own implementation, so that two
implementations never meet in one environment. Builds that are not the default track a feature,
netlib's track two: the solver takes the build with the fewest unless it is told otherwise. BLIS
has no LAPACK of its own: netlib's, which constrains nothing, is used with it.
"""

from __future__ import annotations

from collections.abc import Mapping

from conda_channel import HERE, Content, Package

LAPACK = "3.11.0"
LIBRARY = {
    "openblas": ("libopenblas", "0.3.30"),
    "mkl": ("mkl", "2025.3.0"),
    "blis": ("blis", "0.9.0"),
    "accelerate": None,
    "newaccelerate": None,
    "netlib": None,
}
BUILT_FOR = {
    "linux-64": ("openblas", "mkl", "blis", "netlib"),
    "osx-arm64": ("openblas", "accelerate", "newaccelerate", "netlib"),
}


def build_string(implementation: str) -> str:
    """Return the build string of one implementation: number, a hash, name."""
    return f"5_h{hash_like(implementation)}_{implementation}"


def hash_like(text: str) -> str:
    """Return seven hexadecimal digits, as conda-build puts them into build strings."""
    return f"{sum(ord(letter) * 31**place for place, letter in enumerate(text)) % 16**7:07x}"


def blas_builds(
    implementation: str,
    *,
    subdir: str = HERE,
    files: Mapping[str, Content] | None = None,
) -> list[Package]:
    """Return the packages of one implementation; ``files`` go into its library (or libblas)."""
    build = build_string(implementation)
    library = LIBRARY[implementation]
    if implementation == "netlib":
        features: tuple[str, ...] = ("blas_netlib", "blas_netlib_2")
    elif implementation == "openblas":
        features = ()
    else:
        features = (f"blas_{implementation}",)

    def exactly(name: str) -> str:
        return f"{name} {LAPACK} {build}"

    def package(name: str, depends: tuple[str, ...], constrains: tuple[str, ...]) -> Package:
        return Package(
            name,
            LAPACK,
            build,
            depends=depends,
            constrains=constrains,
            features=features,
            subdir=subdir,
            files=files or {} if library is None and name == "libblas" else {},
        )

    selector = f"blas * {implementation}"
    lapack = () if implementation == "blis" else (exactly("liblapack"),)
    found: list[Package] = []
    if library is not None:
        found.append(Package(*library, subdir=subdir, files=files or {}))
    if implementation == "netlib":
        anyone = (f"libblas {LAPACK}.*",)
        found += [package("libblas", (), (selector,))]
        found += [package(name, anyone, ()) for name in ("libcblas", "liblapack")]
    else:
        needs = () if library is None else (f"{library[0]} >={library[1]}",)
        found.append(package("libblas", needs, (exactly("libcblas"), *lapack, selector)))
        found.append(package("libcblas", (exactly("libblas"),), (*lapack, selector)))
        if lapack:
            siblings = (exactly("libcblas"), selector)
            found.append(package("liblapack", (exactly("libblas"),), siblings))
    found.append(
        Package("blas", "2.405", implementation, (exactly("libblas"),), (), features, subdir)
    )
    return found


BLAS_USERS = ("libblas >=3.9.0,<4.0a0", "libcblas >=3.9.0,<4.0a0", "liblapack >=3.9.0,<4.0a0")
