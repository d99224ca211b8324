# SPDX-License-Identifier: GPL-2.0-only
"""The descriptive view of a module file: what is in it, whole or broken, before any kernel has looked at it.

The loader does not use this: it reads the bytes its own way, as the kernel does. This view serves the tools,
the notebooks and everybody who wants to know what a ``.ko`` holds. It opens broken files as far as that makes
sense: a part that cannot be read is empty, and ``problems`` says why.
"""

from __future__ import annotations

import html
import os
from collections.abc import Sized
from functools import cached_property
from pathlib import Path

import numpy as np

from ..decompress import LIMIT, compression, decompress
from ..errors import EACCES, EISDIR, ENOENT, ERRNO, KernelError
from .elf import Header, Problems, Section, Sections, read_header, read_sections
from .info import ModInfo, Param, read_modinfo, read_params
from .linkage import Export, Import, Versions, read_exports, read_imports, read_versions
from .relocations import Relocation, Relocations, RelocationTable, read_relocations
from .signature import Signature, SignatureDetails, read_signature
from .symbols import Symbol, SymbolTable, read_symbols

Source = str | os.PathLike[str] | bytes | bytearray | memoryview

__all__ = [
    "Export", "Header", "Import", "ModInfo", "ModuleFile", "Param", "Relocation", "RelocationTable",
    "Relocations", "Section", "Sections", "Signature", "SignatureDetails", "Symbol", "SymbolTable",
    "Versions",
]  # fmt: skip

THIS_MODULE = ".gnu.linkonce.this_module"
_SUMMARY_KEYS = ("description", "license", "vermagic", "depends")
EFBIG, EIO = ERRNO["EFBIG"][0], ERRNO["EIO"][0]


class ModuleFile:
    """A ``.ko`` from a path or from bytes, also packed (gzip, xz, zstd). Parts are read when first asked for.

    ``data`` is the unpacked file, ``path`` where it came from (None for bytes), ``compression`` "", "gzip",
    "xz" or "zstd". Raises ``KernelError`` when the file cannot be opened or unpacked, or has more than
    ``limit`` bytes; after that no part raises, whatever the bytes are.
    """

    def __init__(self, source: Source, limit: int = LIMIT) -> None:
        given = isinstance(source, bytes | bytearray | memoryview)
        self.path: Path | None = None if given else Path(source)  # type: ignore[arg-type]
        raw = bytes(source) if given else _read(Path(source), limit)  # type: ignore[arg-type]
        self.compression: str = compression(raw)
        self.data: bytes = decompress(raw, limit)
        self._image = np.frombuffer(self.data, np.uint8) if self.data else np.empty(0, np.uint8)
        self._noted = Problems()

    @cached_property
    def header(self) -> Header | None:
        """The ELF header; None when the file is too short to have one."""
        return read_header(self._image, self._noted)

    @cached_property
    def sections(self) -> Sections:
        """Sections by index or name: ``module.sections[".text"].data``."""
        return read_sections(self._image, self.header, self._noted)

    @cached_property
    def _tables(self) -> Sections:
        """The sections for whoever reads 64-bit little-endian records from them: none in a foreign file."""
        header = self.header
        native = header is not None and (header.bits, header.byte_order) == (64, "little")
        return self.sections if native else Sections()

    @cached_property
    def symbols(self) -> SymbolTable:
        """Symbols by index or name; ``.records`` is the table itself (``records.SYM``)."""
        return read_symbols(self._tables, self._noted)

    @cached_property
    def relocations(self) -> Relocations:
        """All relocations; ``relocations[".text"]``: one section's, with ``.records`` (``records.RELA``)."""
        return read_relocations(self._tables, self.symbols, self._noted)

    @cached_property
    def modinfo(self) -> ModInfo:
        """(key, value) pairs of .modinfo in file order, with ``get(key)`` and ``all(key)``."""
        return read_modinfo(self.sections, self._noted)

    @cached_property
    def params(self) -> list[Param]:
        """The module's parameters."""
        return read_params(self._tables, self.relocations, self.modinfo, self._noted)

    @cached_property
    def exports(self) -> list[Export]:
        """The symbols it offers to others."""
        return read_exports(self._tables, self.relocations, self._noted)

    @cached_property
    def imports(self) -> list[Import]:
        """The symbols it wants from others."""
        return read_imports(self.symbols, self.versions)

    @cached_property
    def versions(self) -> Versions:
        """CRC by name of the symbols it was built against."""
        return read_versions(self._tables, self._noted)

    @cached_property
    def signature(self) -> Signature | None:
        """The appended signature; None when the kernel would take the file as unsigned."""
        return read_signature(self._image, self._noted)

    @property
    def problems(self) -> list[str]:
        """What is broken, in plain words, over all parts; empty for a sound file."""
        for part in ("symbols", "relocations", "modinfo", "params", "exports", "versions", "signature"):
            getattr(self, part)
        return list(self._noted)

    @cached_property
    def name(self) -> str:
        """The module's name: modinfo's ``name``, else the file's as kmod makes it (``-`` becomes ``_``)."""
        stem = self.path.name.split(".ko")[0].replace("-", "_") if self.path else ""
        return self.modinfo.get("name") or stem

    @cached_property
    def init_symbol(self) -> str | None:
        """The function that struct module's ``init`` points to, by its own name if it has one; None: none."""
        return self._callback("init_module")

    @cached_property
    def exit_symbol(self) -> str | None:
        """The same for ``exit``; None: the module cannot be unloaded."""
        return self._callback("cleanup_module")

    def _callback(self, alias: str) -> str | None:
        table = self.relocations.get(THIS_MODULE)
        found = next((r for r in table or () if r.symbol == alias), None)
        symbol = self.symbols.get(found.symbol_index) if found else None
        if symbol is None:
            return None
        # module_init(f) makes init_module an alias of f (include/linux/module.h); the name of f says more
        twins = (twin for twin in self.symbols.at(symbol.section_index, symbol.value) if twin.type == "FUNC")
        return next((twin.name for twin in twins if twin.name not in (alias, "")), alias)

    def _summary(self) -> list[tuple[str, str]]:
        header = self.header
        kind = f"{header.machine} {header.type}" if header else "no ELF header"
        packed = f", unpacked from {self.compression}" if self.compression else ""
        parts: dict[str, Sized] = {
            "sections": self.sections, "symbols": self.symbols, "relocations": self.relocations,
            "parameters": self.params,
        }  # fmt: skip
        rows = [
            ("file", f"{len(self.data):,} bytes{packed}, {kind}"),
            ("holds", ", ".join(f"{len(part):,} {what}" for what, part in parts.items())),
            *((key, self.modinfo.get(key) or "-") for key in _SUMMARY_KEYS),
            ("signature", self._signer()),
        ]
        return rows + [("problem", problem) for problem in self.problems[:5]]

    def _signer(self) -> str:
        if self.signature is None:
            return "none"
        details = self.signature.details()
        by = f", {details.hash}, by {details.signer}" if details else ""
        return f"{self.signature.id_name}{by}"

    def __str__(self) -> str:
        rows = (f"  {label:12}{value}" for label, value in self._summary())
        return "\n".join([self.name or "(no name)", *rows])

    def __repr__(self) -> str:
        return f"<ModuleFile {self.name or '(no name)'}: {len(self.data):,} bytes>"

    def _repr_html_(self) -> str:
        def cell(value: str) -> str:
            return html.escape(value.encode("utf-8", "replace").decode())

        rows = "".join(
            f"<tr><th>{cell(label)}</th><td>{cell(value)}</td></tr>" for label, value in self._summary()
        )
        caption = f"<caption>{cell(self.name or '(no name)')}</caption>"
        return f"<table style='text-align:left'>{caption}{rows}</table>"


# ValueError: a path with a NUL in it
_HOST_ERRORS = ((FileNotFoundError, ENOENT), (PermissionError, EACCES), (ValueError, ENOENT))


def _read(path: Path, limit: int) -> bytes:
    """The file's bytes; the host's errors become Linux's."""
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except (OSError, ValueError) as error:
        found = [number for kind, number in _HOST_ERRORS if isinstance(error, kind)]
        errno = EISDIR if path.is_dir() else found[0] if found else EIO
        raise KernelError(errno, why=f"{path}: {error}") from error
    if len(data) > limit:
        raise KernelError(EFBIG, why=f"{path} has more than {limit:,} bytes")
    return data
