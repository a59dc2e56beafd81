"""A reader of TensorBoard's event files that shares nothing with the writer:
records with their checksums, then protocol buffers field by field."""
import pathlib
import struct


def crc32c(data):
    """Castagnoli's, bit by bit."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def masked(data):
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def records(data):
    """Whole records, and the bytes behind the last of them."""
    at, found = 0, []
    while len(data) - at >= 12:
        length, check = struct.unpack_from("<QI", data, at)
        if check != masked(data[at:at + 8]):
            raise ValueError(f"byte {at}: the length's checksum is wrong")
        end = at + 12 + length
        if end + 4 > len(data):
            break
        body = data[at + 12:end]
        if struct.unpack_from("<I", data, end)[0] != masked(body):
            raise ValueError(f"byte {at}: the record's checksum is wrong")
        found.append(body)
        at = end + 4
    return found, len(data) - at


def fields(data):
    """(number, value) of a message: int, bytes, or raw bytes of fixed ones."""
    at = 0

    def varint():
        nonlocal at
        value, shift = 0, 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(data):
        key = varint()
        number, wire = key >> 3, key & 7
        if wire == 0:
            yield number, varint()
        elif wire == 1:
            at += 8
            yield number, data[at - 8:at]
        elif wire == 2:
            length = varint()
            if at + length > len(data):
                raise ValueError("a field passes its message")
            at += length
            yield number, data[at - length:at]
        elif wire == 5:
            at += 4
            yield number, data[at - 4:at]
        else:
            raise ValueError(f"wire type {wire}")


def events(path):
    """Events of a file: dict(wall, step, version, start, scalars), and the
    bytes of half a record at the end."""
    found, left = records(pathlib.Path(path).read_bytes())
    out = []
    for body in found:
        event = {"step": 0, "version": None, "start": False, "scalars": {}}
        for number, value in fields(body):
            if number == 1:
                event["wall"] = struct.unpack("<d", value)[0]
            elif number == 2:
                event["step"] = value
            elif number == 3:
                event["version"] = value.decode()
            elif number == 7:
                event["start"] = dict(fields(value)).get(1) == 1
            elif number == 5:
                for tag, one in fields(value):
                    assert tag == 1
                    parts = dict(fields(one))
                    event["scalars"][parts[1].decode()] = \
                        struct.unpack("<f", parts[2])[0]
            else:
                raise ValueError(f"field {number} of an event")
        out.append(event)
    return out, left


def series(folder):
    """{tag: {step: value}} of a folder, files in order of their names, later
    sessions in place of what they begin at."""
    found = {}
    for path in sorted(pathlib.Path(folder).glob("events.out.tfevents.*")):
        for number, event in enumerate(events(path)[0]):
            if number == 0 and event["version"] != "brain.Event:2":
                raise ValueError(f"{path}: version {event['version']}")
            if event["start"]:
                for steps in found.values():
                    for step in [s for s in steps if s >= event["step"]]:
                        del steps[step]
            for tag, value in event["scalars"].items():
                found.setdefault(tag, {})[event["step"]] = value
    return found
