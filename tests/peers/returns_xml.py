"""Holds CDS interchanges to what a receiver needs, and their frame to a published sample, with xml.etree.

Reads {"interchanges": [path], "samples": [path]}; writes a list of what is wrong."""

import datetime
import json
import sys
import xml.etree.ElementTree as ElementTree

NAMESPACE = "{http://www.nhsia.nhs.uk/DataStandards/XMLschema/CDS/ns}"


def name(element):
    assert element.tag.startswith(NAMESPACE), element.tag
    return element.tag[len(NAMESPACE):]


def children(element):
    return [name(child) for child in element]


def text(element, path):
    return element.findtext("/".join(NAMESPACE + part for part in path.split("/")))


def frame(root):
    """Names in order of what surrounds a record; organisations are named otherwise in each version."""
    message = root[1]
    header = [part for part in children(message[1]) if not part.startswith("Organisation")]
    return [children(root)[:2] + children(root)[-1:], children(root[0]), children(message)[:2] + children(message)[-1:],
            children(message[0]), header, children(message[-1]), children(root[-1]), sorted(message.attrib)]


def is_in_order(ours, theirs):
    """Whether what both have comes in the same order; what is repeated counts once."""
    ours, theirs = list(dict.fromkeys(ours)), list(dict.fromkeys(theirs))
    return [part for part in ours if part in theirs] == [part for part in theirs if part in ours]


def check(path):
    root = ElementTree.parse(path).getroot()
    messages = root[1:-1]
    assert name(root) == "CDS-XMLInterchange"
    control = text(root, "CDSInterchangeHeader/CDSInterchangeControlReference")
    assert len(control) == 7 and control == text(root, "CDSInterchangeTrailer/CDSInterchangeControlReference")
    assert int(text(root, "CDSInterchangeTrailer/CDSInterchangeControlCount")) == len(messages)
    assert text(root, "CDSInterchangeHeader/CDSInterchangeTestIndicator") == "1"
    seen = set()
    for number, message in enumerate(messages, 1):
        assert text(message, "CDSMessageHeader/CDSMessageReferenceNumber") == str(number)
        assert text(message, "CDSMessageTrailer/CDSMessageReferenceNumber") == str(number)
        record = text(message, "CDSMessageHeader/CDSMessageRecordIdentifier")
        assert len(record) == 21 and record[7:14] == control and int(record[14:]) == number
        head = "CDSTransactionHeader_NetChange/"
        assert text(message, head + "CDSTypeCode") == message.attrib["CDSTypeCode"]
        assert text(message, head + "CDSUpdateType") in ("1", "9")
        identifier = text(message, head + "CDSUniqueIdentifier")
        assert len(identifier) <= 35 and identifier not in seen
        seen.add(identifier)
        datetime.date.fromisoformat(text(message, head + "CDSApplicableDate"))
        datetime.time.fromisoformat(text(message, head + "CDSApplicableTime"))
        identities = [element for element in message.iter() if element.tag.endswith("Identity_Structure")]
        assert len(identities) == 1
        identity = identities[0]
        status = next(identity.iter(NAMESPACE + "NHSNumberStatusIndicatorCode")).text
        assert identity.attrib["NHSNumberStatusIndicatorCode"] == status
        assert (status == "01") == (name(identity) == "VerifiedIdentity_Structure")
        number = next((element.text for element in identity.iter(NAMESPACE + "NHSNumber")), None)
        assert number is None or is_nhs_number(number)
        if name(identity) == "WithheldIdentity_Structure":
            assert number is None and "1950" not in ElementTree.tostring(identity, "unicode")
    return root


def is_nhs_number(number):
    total = sum((10 - place) * int(digit) for place, digit in enumerate(number[:9]))
    return len(number) == 10 and (11 - total % 11) % 11 == int(number[9])


def groups(root):
    """Each element with children, by name: its children in order."""
    found = {}
    for element in root.iter():
        if len(element):
            found.setdefault(name(element), []).append(children(element))
    return found


request = json.load(sys.stdin)
samples = [ElementTree.parse(path).getroot() for path in request["samples"]]
faults = []
for path in request["interchanges"]:
    try:
        root = check(path)
        for sample in samples:
            assert frame(root) == frame(sample), [pair for pair in zip(frame(root), frame(sample)) if pair[0] != pair[1]]
            if "ecds" in path:
                for group, orders in groups(root).items():
                    for ours in orders:
                        for theirs in groups(sample).get(group, []):
                            assert is_in_order(ours, theirs), (group, ours, theirs)
    except AssertionError as error:
        faults.append(f"{path}: {error.args}")
json.dump(faults, sys.stdout)
