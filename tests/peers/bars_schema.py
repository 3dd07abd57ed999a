"""Tests a BaRS receiver with schemathesis, by the API's own OpenAPI description.

Arguments: the description, and where the receiver is. Reads from standard input what stands for what the description
leaves open: headers, windows of time, ids and messages that are right. Writes whether all held, and what was said.

The description is read as it is and changed in memory alone, where it cannot be used: see `adapted`."""

import functools
import http.server
import json
import re
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import yaml

JSON = "application/fhir+json"
# The description refers to schemas in files that are not published with it. What they are of is in their names.
RESOURCES = {
    "Capability": "CapabilityStatement",
    "SearchBundleAppt": "Bundle",
    "SearchBundleRef": "Bundle",
    "SearchBundleSlot": "Bundle",
    "MessageBundle": "Bundle",
    "MessageDefinition": "Bundle",
    "OperationalOutcome": "OperationOutcome",
}
# Kept by the standard's registries and by those who have referrals to show: a hub answers 501, which is what is
# expected of it, and what is tested here.
NOT_IMPLEMENTED = re.compile(r"ServiceRequest|DocumentReference|HealthcareService|Endpoint")
NOT_IMPLEMENTED_METHODS = {"post", "put", "patch", "delete"}


def schema_of(name):
    kind = RESOURCES.get(name, name)
    schema = {
        "type": "object",
        "required": ["resourceType"],
        "properties": {"resourceType": {"type": "string", "enum": [kind]}},
    }
    if kind == "Bundle":
        types = ["message"] if name == "MessageBundle" else ["searchset"]
        schema["properties"]["type"] = {"type": "string", "enum": types}
        schema["required"].append("type")
    if kind == "OperationOutcome":
        issue = {
            "type": "object",
            "required": ["severity", "code", "details"],
            "properties": {
                "severity": {"type": "string", "enum": ["fatal", "error", "warning", "information"]},
                "details": {
                    "type": "object",
                    "required": ["coding"],
                    "properties": {
                        "coding": {
                            "type": "array",
                            "minItems": 1,
                            "items": {
                                "type": "object",
                                "required": ["code"],
                                "properties": {"code": {"type": "string", "pattern": "^(REC|SEND)_[A-Z_]+$"}},
                            },
                        }
                    },
                },
            },
        }
        schema["properties"]["issue"] = {"type": "array", "minItems": 1, "items": issue}
        schema["required"].append("issue")
    return schema


def adapted(spec, known):
    """The description as it can be used, and what it has that is answered with 501."""
    components = spec["components"]
    components["schemas"] = {
        name: schema_of(name) if "$ref" in schema else schema for name, schema in components["schemas"].items()
    }
    # Files of examples are referred to as if they were values.
    strip(spec)
    # The receiver is asked directly: who asks it is known by its certificate, not by a token of the proxy's.
    spec.pop("security", None)
    spec["servers"] = [{"url": "/"}]
    for parameter in components["parameters"].values():
        if parameter["in"] == "header":
            # Base64 of JSON is beyond what a schema can say; what is right is given, what is wrong is made up.
            if parameter["name"] in known["headers"]:
                parameter["schema"] = {"type": "string", "enum": [known["headers"][parameter["name"]]]}
        if parameter["name"] in ("Accept", "use-context"):
            # Who does not say what it accepts is answered as the standard has it, and many things are accepted; the
            # other is for the proxy alone.
            parameter["required"] = False
            parameter["schema"] = {"anyOf": [parameter["schema"], {"type": "string"}]}
        if parameter["name"] == "patient:identifier":
            # Without it, three other searches are possible, which are refused.
            parameter["required"] = True
            parameter["schema"] = {"type": "string", "enum": known["patients"]}
    left_out = []
    for path, item in list(spec["paths"].items()):
        for method in list(item):
            if method == "parameters":
                continue
            if NOT_IMPLEMENTED.search(path) or ("Appointment" in path and method in NOT_IMPLEMENTED_METHODS):
                left_out.append((method, path))
                del item[method]
        if set(item) <= {"parameters"}:
            del spec["paths"][path]
    for parameter in spec["paths"]["/Slot"]["get"]["parameters"]:
        if parameter["name"] == "start":
            # Given twice, as the text says and the schema does not.
            parameter["explode"] = True
            parameter["schema"] = {"type": "array", "enum": known["windows"]}
        elif parameter["name"] == "Schedule.actor:HealthcareService":
            # An identifier, with or without what goes before; one that is not here finds nothing.
            pattern = r"^([^&]*[|/])?[A-Za-z0-9.-]{1,64}$"
            parameter["schema"] = {"anyOf": [{"enum": known["services"]}, {"pattern": pattern}], "type": "string"}
        else:
            parameter["schema"]["minItems"] = 1
        if parameter["name"] == "_include":
            # What is not known is passed over, as the text says and the schema does not.
            items = parameter["schema"]["items"]
            parameter["schema"]["items"] = {"anyOf": [items, {"type": "string"}]}
    # Some of the identifiers that are looked for are there.
    components["parameters"]["ResourceId_Param"]["schema"] = {
        "anyOf": [{"type": "string", "format": "uuid"}, {"type": "string", "enum": known["appointments"]}]
    }
    body = spec["paths"]["/$process-message"]["post"]["requestBody"]["content"][JSON]
    body["examples"] = {str(number): {"value": value} for number, value in enumerate(known["messages"])}
    return spec, left_out


def strip(value):
    """Without examples, without XML, which this receiver does not speak, and without versions in media types, by which
    the description does not agree with itself."""
    if isinstance(value, dict):
        value.pop("example", None)
        value.pop("examples", None)
        if isinstance(value.get("content"), dict):
            content = value["content"]
            value["content"] = {
                name.split(";")[0]: media for name, media in content.items() if not name.endswith("xml")
            }
        for part in value.values():
            strip(part)
    elif isinstance(value, list):
        for part in value:
            strip(part)


def serve(spec):
    """Where schemathesis finds the description."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = json.dumps(spec).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}/openapi.json"


def run(spec, url, folder):
    # What is left out, and why.
    excluded = {
        # Whether a message is a good one FHIR says, whose schemas are not published with the description: the
        # receiver's own tests send good ones.
        "processMessage": ["positive_data_acceptance"],
        # What a receiver can do is told to whoever asks, as the standard's proxy does.
        "getMeta": ["missing_required_header", "negative_data_rejection"],
        # They have methods that are left out of the description here, and answered with 501 as the test sees.
        "getBookingByPatient": ["unsupported_method", "allow_header_conformance", "not_a_server_error"],
        "getBooking": ["unsupported_method", "allow_header_conformance", "not_a_server_error"],
    }
    lines = ["[checks]", "positive_data_acceptance.expected-statuses = [200, 404, 406]"]
    for operation, checks in excluded.items():
        lines += ["[[operations]]", f'include-operation-id = "{operation}"']
        lines += [f"checks.{check}.enabled = false" for check in checks if check != "not_a_server_error"]
        if "not_a_server_error" in checks:
            lines += ['checks.not_a_server_error.expected-statuses = ["2xx", "4xx", "501"]']
    config = Path(folder) / "schemathesis.toml"
    config.write_text("\n".join(lines) + "\n")
    command = [sys.executable, "-B", "-m", "schemathesis.cli", "--config-file", str(config), "--no-color"]
    command += ["run", serve(spec), "--url", url, "--phases", "examples,coverage,fuzzing"]
    command += ["--max-examples", "60", "--seed", "7", "--generation-database", "none", "--warnings", "off"]
    command += ["--suppress-health-check", "all", "--continue-on-failure"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=500)
    return done.returncode, done.stdout + done.stderr


def main():
    known = json.load(sys.stdin)
    spec = yaml.safe_load(Path(sys.argv[1]).read_text())
    spec, left_out = adapted(spec, known)
    with tempfile.TemporaryDirectory() as folder:
        code, said = run(spec, sys.argv[2], folder)
    json.dump({"held": code == 0, "said": said, "left_out": left_out}, sys.stdout)


main()
