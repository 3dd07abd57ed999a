"""Reads the tables of returns with pandas, as an analyst would, and ties them to one another.

Reads a list of paths; writes {"faults": [...], "tables": how many}."""

import json
import pathlib
import sys

import pandas


def read(path):
    return pandas.read_csv(path, dtype=str, keep_default_na=False)


paths = [pathlib.Path(path) for path in json.load(sys.stdin)]
tables = {path.stem: read(path) for path in paths}
faults = []


def expect(holds, what):
    if not holds:
        faults.append(what)


for stem, table in tables.items():
    raw = next(path for path in paths if path.stem == stem).read_bytes()
    expect(raw.count(b"\r\n") == len(table) + 1, f"{stem}: lines")
    expect(len(set(table.columns)) == len(table.columns), f"{stem}: columns")
    for column in table.columns:
        expect(not table[column].str.match(r"^[=+@-]").any(), f"{stem}: a formula in {column}")

community = {stem.split("_")[-1]: table for stem, table in tables.items() if stem.startswith("csds")}
contacts = community["CYP201CareContact"]
expect(set(contacts.ServiceRequestID) <= set(community["CYP101Referral"].ServiceRequestID), "referrals")
expect(set(contacts.CareContactID) == set(community["CYP202CareActivity"].CareContactID), "activities")
expect(set(community["CYP101Referral"].LocalPatientID) <= set(community["CYP001MPI"].LocalPatientID), "patients")
expect(not contacts.CareContactID.duplicated().any(), "contacts twice")
expect(pandas.to_datetime(contacts.ContactDate).dt.month.eq(5).all(), "months")
header = community["CYP000Header"]
expect(len(header) == 1 and header.ReportingPeriodEndDate[0] == "2026-05-31", "header")

acm = tables["contract_2026-05_v001_acm"]
plcm = tables["contract_2026-05_v001_plcm"]
pence = lambda column: (column.astype(float) * 100).round().astype(int)
product = pence(acm["ACTIVITY UNIT PRICE"]) * acm["ACTUAL ACTIVITY"].astype(int)
expect((product == pence(acm["ACTUAL PRICE"])).all(), "ACM: units times price")
excluded = acm["TARIFF CODE"].isin(["DRUG", "DEVICE"])
expect(pence(acm["ACTUAL PRICE"])[~excluded].sum() == pence(plcm["TOTAL COST"]).sum(), "ACM and PLCM")
expect(acm["ACTUAL ACTIVITY"].astype(int)[~excluded].sum() == len(plcm), "ACM and PLCM: contacts")

json.dump({"faults": faults, "tables": len(tables)}, sys.stdout)
