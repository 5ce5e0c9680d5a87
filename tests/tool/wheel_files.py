"""Write small wheels for the tests, which contain nothing that runs."""

import zipfile


def make(folder, python, abi, platform, *contents, name=None, requires=">=3.11", version="1.0"):
    """Write a wheel of acme, by default with an extension that fits the wheel's name."""
    suffixes = {"none": "py", "abi3": "abi3.so", "abi3.abi3t": "abi3t-x86_64-linux-gnu.so"}
    triplet = "x86_64-linux-musl" if "musl" in platform else "x86_64-linux-gnu"
    suffix = suffixes.get(abi, f"cpython-{abi.removeprefix('cp')}-{triplet}.so")
    info = f"acme-{version}.dist-info"
    tags = [f"{python}-{a}-{p}" for a in abi.split(".") for p in platform.split(".")]
    folder.mkdir(exist_ok=True)
    path = folder / (name or f"acme-{version}-{python}-{abi}-{platform}.whl")
    with zipfile.ZipFile(path, "w") as archive:
        for file in contents or ("acme/__init__.py", f"acme/_native.{suffix}"):
            archive.writestr(file, "")
        archive.writestr(
            f"{info}/METADATA",
            f"Metadata-Version: 2.4\nName: acme\nVersion: {version}\nRequires-Python: {requires}\n",
        )
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\n" + "".join(f"Tag: {t}\n" for t in tags)
        )
    return path
