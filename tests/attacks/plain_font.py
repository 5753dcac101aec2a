"""A TrueType typeface of one sign, a box, in the area that belongs to nobody.

The tables are those of the OpenType specification; nothing is in them but what a reader asks for.
"""

from __future__ import annotations

import struct

BOX = "\ue000"
_EM = 1000


def box_font() -> bytes:
    """The file."""
    box = struct.pack(">5h", 1, 0, 0, _EM, _EM) + struct.pack(">HH", 3, 0) + bytes([1, 1, 1, 1])
    box += struct.pack(">4h", 0, 0, _EM, 0) + struct.pack(">4h", 0, _EM, 0, -_EM)
    code = ord(BOX)
    # One segment for the sign, and the one that ends the list.
    segments = struct.pack(">9H", code, 0xFFFF, 0, code, 0xFFFF, (1 - code) % 0x10000, 1, 0, 0)
    subtable = struct.pack(">7H", 4, 14 + len(segments), 0, 4, 4, 1, 0) + segments
    # Blender reads the names of family and style without asking whether there are any.
    words = [(1, "Box"), (2, "Regular")]
    names, said = struct.pack(">3H", 0, len(words), 6 + 12 * len(words)), b""
    for number, word in words:
        coded = word.encode("utf-16-be")
        names += struct.pack(">6H", 3, 1, 0x409, number, len(coded), len(said))
        said += coded
    tables = {
        b"cmap": struct.pack(">HHHHI", 0, 1, 3, 1, 12) + subtable,
        b"glyf": box + bytes(-len(box) % 4),
        b"head": struct.pack(
            ">IIIIHHqqhhhhHHhhh", 0x10000, 0x10000, 0, 0x5F0F3CF5, 0, _EM, 0, 0, 0, 0, _EM, _EM, 0, 8, 2, 1, 0
        ),
        b"hhea": struct.pack(">I3hH11hH", 0x10000, _EM, 0, 0, _EM, *[0] * 11, 2),
        b"hmtx": struct.pack(">4H", _EM, 0, _EM, 0),
        b"loca": struct.pack(">3I", 0, 0, len(box) + -len(box) % 4),
        b"maxp": struct.pack(">I14H", 0x10000, 2, 4, 1, *[0] * 11),
        b"name": names + said,
        b"post": struct.pack(">IIhhIIIII", 0x30000, 0, 0, 0, 0, 0, 0, 0, 0),
    }
    place = 12 + 16 * len(tables)
    directory, body = struct.pack(">IHHHH", 0x10000, len(tables), 128, 3, 0), b""
    for name, content in tables.items():
        directory += struct.pack(">4sIII", name, 0, place + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    return directory + body
