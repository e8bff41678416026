# pragma version 0.4.3
# A resolver with text records as ENSIP-5 describes them, for the checks of names: anybody may set any.

texts: HashMap[bytes32, HashMap[String[32], String[256]]]
# Names whose records are behind a gateway.
elsewhere: HashMap[bytes32, bool]


@view
@external
def text(node: bytes32, key: String[32]) -> String[256]:
    if self.elsewhere[node]:
        urls: DynArray[String[64], 1] = ["https://gateway.example/{data}"]
        raw_revert(
            abi_encode(
                self, urls, abi_encode(node), 0x00000000, abi_encode(node),
                method_id=method_id("OffchainLookup(address,string[],bytes,bytes4,bytes)"),
            )
        )
    return self.texts[node][key]


@external
def setText(node: bytes32, key: String[32], content: String[256]):
    self.texts[node][key] = content


@external
def moveElsewhere(node: bytes32):
    self.elsewhere[node] = True
