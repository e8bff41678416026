# pragma version 0.4.3
# A registry of names as ENSIP-1 describes it, for the checks of names: who owns what is left out.

resolver: public(HashMap[bytes32, address])


@external
def setResolver(node: bytes32, resolver: address):
    self.resolver[node] = resolver
