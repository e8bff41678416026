"""did:ethr against an EVM: `dsip resolve` asks a node over HTTPS whose chain is py-evm (of PyPI, by eth-tester), with the registry of
ERC-1056 in ethr_registry.vy."""

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
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, x25519
from eth_abi import encode
from eth_tester import EthereumTester, PyEVMBackend
from eth_utils import function_signature_to_4byte_selector, to_checksum_address

HERE = pathlib.Path(__file__).parent
DSIP = os.environ.get("DSIP", str(HERE.parent / ".build" / "debug" / "dsip"))
ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def multibase(codec, raw):
    number, text = int.from_bytes(codec + raw, "big"), ""
    while number:
        number, digit = divmod(number, 58)
        text = ALPHABET[digit] + text
    return "z" + text


class Chain:
    """An EVM with a registry, and what a node says of it."""

    def __init__(self):
        self.tester = EthereumTester(PyEVMBackend())
        self.accounts = self.tester.get_accounts()
        code = vyper.compile_code((HERE / "ethr_registry.vy").read_text(), output_formats=["bytecode"])["bytecode"]
        receipt = self.send(self.accounts[0], None, code)
        self.registry = receipt["contract_address"]
        self.id = self.tester.backend.chain.chain_id

    def send(self, sender, to, data):
        transaction = {"from": sender, "gas": 3_000_000, "data": data}
        if to:
            transaction["to"] = to
        receipt = self.tester.get_transaction_receipt(self.tester.send_transaction(transaction))
        assert receipt["status"] == 1
        return receipt

    def invoke(self, sender, signature, types, *arguments):
        data = function_signature_to_4byte_selector(signature) + encode(types, arguments)
        return self.send(sender, self.registry, "0x" + data.hex())

    def set(self, account, name, value, validity=86_400):
        name = name.encode().ljust(32, b"\0")
        types = ["address", "bytes32", "bytes", "uint256"]
        return self.invoke(account, "setAttribute(address,bytes32,bytes,uint256)", types, account, name, value, validity)

    def revoke(self, account, name, value):
        name = name.encode().ljust(32, b"\0")
        types = ["address", "bytes32", "bytes"]
        return self.invoke(account, "revokeAttribute(address,bytes32,bytes)", types, account, name, value)

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


class EthrTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory()
        cls.folder = pathlib.Path(cls.temporary.name)
        cls.chain = Chain()
        cls.node = Node(cls.chain, cls.folder)

    @classmethod
    def tearDownClass(cls):
        cls.node.stop()
        cls.temporary.cleanup()

    def did(self, account):
        return f"did:ethr:{hex(self.chain.id)}:{account}"

    def run_dsip(self, did, *more, network=None):
        place = f"{network or hex(self.chain.id)}@{self.chain.registry}={self.node.url}"
        return subprocess.run(
            [DSIP, "resolve", did, "--ethereum", place, "--trust", str(self.node.root), "--state",
             str(self.folder / "none"), "--json", *more],
            capture_output=True, text=True, timeout=120,
        )

    def resolve(self, did, *more):
        done = self.run_dsip(did, *more)
        self.assertEqual(done.returncode, 0, done.stderr + done.stdout)
        return json.loads(done.stdout)

    def test_an_account_that_never_changed(self):
        answer = self.resolve(self.did(self.chain.accounts[9]))
        self.assertEqual(answer["document"]["id"], self.did(self.chain.accounts[9]))
        self.assertEqual(answer["document"].get("verificationMethod", []), [])

    def test_keys_and_services_of_an_account(self):
        account = self.chain.accounts[1]
        signing = ed25519.Ed25519PrivateKey.generate().public_key().public_bytes_raw()
        lost = ed25519.Ed25519PrivateKey.generate().public_key().public_bytes_raw()
        agreement = x25519.X25519PrivateKey.generate().public_key().public_bytes_raw()
        self.chain.set(account, "did/pub/Ed25519/veriKey/base64", lost)
        self.chain.set(account, "did/pub/Ed25519/veriKey/base64", signing)
        self.chain.set(account, "did/pub/X25519/enc/base64", agreement)
        place = b'{"uri":"wss://relay.example/dsip","bindings":["ws/1.0"]}'
        self.chain.set(account, "did/svc/DSIPSignaling", place)
        self.chain.revoke(account, "did/pub/Ed25519/veriKey/base64", lost)
        answer = self.resolve(self.did(account))
        methods = answer["document"]["verificationMethod"]
        self.assertEqual([m["publicKeyMultibase"] for m in methods], [multibase(b"\xed\x01", signing)])
        self.assertTrue(methods[0]["id"].endswith("#delegate-2"))
        self.assertIn(multibase(b"\xec\x01", agreement), json.dumps(answer["document"]["keyAgreement"]))
        self.assertEqual(answer["relay"], "wss://relay.example/dsip")

    def test_an_account_by_its_key(self):
        key = self.chain.tester.backend.account_keys[2].public_key
        signing = ed25519.Ed25519PrivateKey.generate().public_key().public_bytes_raw()
        self.chain.set(self.chain.accounts[2], "did/pub/Ed25519/sigAuth/hex", signing)
        answer = self.resolve(self.did("0x" + key.to_compressed_bytes().hex()))
        methods = answer["document"]["verificationMethod"]
        self.assertEqual([m["publicKeyMultibase"] for m in methods], [multibase(b"\xed\x01", signing)])

    def test_an_owner_who_gave_it_up(self):
        account = self.chain.accounts[4]
        types = ["address", "address"]
        self.chain.invoke(account, "changeOwner(address,address)", types, account, "0x" + "00" * 20)
        done = self.run_dsip(self.did(account))
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("deactivated", done.stderr + done.stdout)

    def test_a_node_of_another_network(self):
        done = self.run_dsip("did:ethr:0x5:" + self.chain.accounts[1], network="0x5")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("another network", done.stderr + done.stdout)

    def test_what_it_rests_on_is_said(self):
        answer = self.resolve(self.did(self.chain.accounts[9]), "--explain", "--dns", "off")
        self.assertIn("the ledger itself is not verified", answer["steps"][0]["basis"])


if __name__ == "__main__":
    unittest.main()
