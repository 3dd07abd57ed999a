"""Reads EDIFACT interchanges with pydifact.

Reads a list of interchanges; writes, for each, what is in it, or `error`."""

import json
import re
import sys

from pydifact.segmentcollection import Interchange


def parts(element):
    return element if isinstance(element, list) else [element]


def message(one):
    found = {"reference": one.reference_number, "type": parts(one.identifier), "segments": 2, "reasons": []}
    for segment in one.segments:
        found["segments"] += 1
        elements = [parts(element) for element in segment.elements]
        if segment.tag == "PNA":
            names = dict((component[0], component[1]) for component in elements if len(component) == 2)
            found["family_name"] = names.get("SU")
        if segment.tag == "NIR":
            found["verdict"] = elements[3][0]
        if segment.tag == "NMR":
            found.setdefault("verdicts", []).append(elements[1][0])
        if segment.tag == "FTX" and elements[0] == ["ERD"]:
            found["reasons"].append("".join(elements[3]))
    return found


def read(text):
    try:
        interchange = Interchange.from_str(text)
        found = {
            "sender": parts(interchange.sender),
            "recipient": parts(interchange.recipient),
            "reference": interchange.control_reference,
            "messages": [message(one) for one in interchange.get_messages()],
        }
        # pydifact keeps no trailers: their counts are read from the text that it split.
        trailers = [piece.split("+") for piece in re.sub(r"\?.", "", text).split("'")]
        for one, trailer in zip(found["messages"], [t for t in trailers if t[0].strip() == "UNT"]):
            one["counted"] = int(trailer[1])
        found["counted"] = next(int(t[1]) for t in trailers if t[0].strip() == "UNZ")
        return found
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}


json.dump([read(text) for text in json.load(sys.stdin)], sys.stdout)
