"""A chain of py-evm (of PyPI, by eth-tester), and a node that tells of it over HTTPS, for the checks beside it."""

import ast
import datetime
import http.server
import ipaddress
import json
import os
import pathlib
import ssl
import subprocess
import tempfile
import threading
import unittest

import vyper
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from eth_abi import encode
from eth_tester import EthereumTester, PyEVMBackend
from eth_tester.exceptions import TransactionFailed
from eth_utils import function_signature_to_4byte_selector, to_checksum_address

HERE = pathlib.Path(__file__).parent
DSIP = os.environ.get("DSIP", str(HERE.parent / ".build" / "debug" / "dsip"))


class Chain:
    """An EVM, and what a node says of it."""

    def __init__(self):
        self.tester = EthereumTester(PyEVMBackend())
        self.accounts = self.tester.get_accounts()
        self.id = self.tester.backend.chain.chain_id

    def deploy(self, source):
        """The address of a contract of this folder."""
        code = vyper.compile_code((HERE / source).read_text(), output_formats=["bytecode"])["bytecode"]
        return self.send(self.accounts[0], None, code)["contract_address"]

    def send(self, sender, to, data):
        transaction = {"from": sender, "gas": 3_000_000, "data": data}
        if to:
            transaction["to"] = to
        receipt = self.tester.get_transaction_receipt(self.tester.send_transaction(transaction))
        assert receipt["status"] == 1
        return receipt

    def invoke(self, sender, contract, signature, *arguments):
        types = signature[signature.index("(") + 1 : -1].split(",")
        data = function_signature_to_4byte_selector(signature) + encode(types, arguments)
        return self.send(sender, contract, "0x" + data.hex())

    def answer(self, method, parameters):
        if method == "eth_chainId":
            return hex(self.id)
        if method == "eth_blockNumber":
            # The one that is being filled is not there yet.
            return hex(self.tester.get_block_by_number("latest")["number"])
        if method == "eth_call":
            call, block = parameters
            call = {"from": self.accounts[0], "to": to_checksum_address(call["to"]), "data": call["data"]}
            return self.tester.call(call, int(block, 16))
        if method == "eth_getLogs":
            return [log for log in self.logs(parameters[0])]
        raise ValueError(f"the method {method} does not exist")

    def logs(self, wanted):
        kinds, account = wanted["topics"]
        for number in range(int(wanted["fromBlock"], 16), int(wanted["toBlock"], 16) + 1):
            for transaction in self.tester.get_block_by_number(number)["transactions"]:
                for log in self.tester.get_transaction_receipt(transaction)["logs"]:
                    topics = [topic.lower() for topic in log["topics"]]
                    if log["address"].lower() == wanted["address"] and topics[0] in kinds and topics[1] == account:
                        yield {
                            "address": log["address"], "topics": log["topics"], "data": log["data"], "removed": False,
                            "blockNumber": hex(log["block_number"]), "logIndex": hex(log["log_index"]),
                        }


class Node:
    """The chain over HTTPS, on loopback, behind a certificate of its own."""

    def __init__(self, chain, folder):
        self.asked = []
        node = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                node.asked.append(request["method"])
                answer = {"jsonrpc": "2.0", "id": request["id"]}
                try:
                    answer["result"] = chain.answer(request["method"], request["params"])
                except TransactionFailed as error:
                    # What the contract returned as its failure, which eth-tester tells as the text of a bytes literal.
                    text = str(error)
                    data = ast.literal_eval(text) if text.startswith("b") else b""
                    answer["error"] = {"code": 3, "message": "execution reverted", "data": "0x" + data.hex()}
                except Exception as error:
                    answer["error"] = {"code": -32000, "message": str(error)}
                body = json.dumps(answer).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        self.root = certificate(folder)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.root, folder / "key.pem")
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = f"https://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


def certificate(folder):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "node of a test")])
    now = datetime.datetime.now(datetime.timezone.utc)
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    made = made.not_valid_before(now - datetime.timedelta(hours=1)).not_valid_after(now + datetime.timedelta(days=1))
    made = made.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True).add_extension(names, critical=False)
    pem = made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    (folder / "root.pem").write_bytes(pem)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "key.pem").write_bytes(private)
    return folder / "root.pem"


class NodeTest(unittest.TestCase):
    """`dsip resolve` beside a node of a chain, which the class of the tests names."""

    chain_class = Chain

    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory()
        cls.folder = pathlib.Path(cls.temporary.name)
        cls.chain = cls.chain_class()
        cls.node = Node(cls.chain, cls.folder)

    @classmethod
    def tearDownClass(cls):
        cls.node.stop()
        cls.temporary.cleanup()

    def place(self, network=None):
        """The node, as an option names it."""
        return f"{network or hex(self.chain.id)}@{self.chain.registry}={self.node.url}"

    def dsip_resolve(self, *arguments):
        return subprocess.run(
            [DSIP, "resolve", *arguments, "--trust", str(self.node.root), "--state", str(self.folder / "none"), "--json"],
            capture_output=True, text=True, timeout=120,
        )

    def resolve(self, name, *more, **options):
        done = self.run_dsip(name, *more, **options)
        self.assertEqual(done.returncode, 0, done.stderr + done.stdout)
        return json.loads(done.stdout)
