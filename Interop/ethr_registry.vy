# pragma version 0.4.3
# A registry of identities as ERC-1056 describes it, for the checks of did:ethr: what signatures by others add is left out.

event DIDOwnerChanged:
    identity: indexed(address)
    owner: address
    previousChange: uint256

event DIDDelegateChanged:
    identity: indexed(address)
    delegateType: bytes32
    delegate: address
    validTo: uint256
    previousChange: uint256

event DIDAttributeChanged:
    identity: indexed(address)
    name: bytes32
    value: Bytes[1024]
    validTo: uint256
    previousChange: uint256

owners: HashMap[address, address]
owned: HashMap[address, bool]
changed: public(HashMap[address, uint256])


@view
@external
def identityOwner(identity: address) -> address:
    return self.owners[identity] if self.owned[identity] else identity


@internal
def _check(identity: address):
    owner: address = self.owners[identity] if self.owned[identity] else identity
    assert msg.sender == owner, "not the owner"


@external
def changeOwner(identity: address, newOwner: address):
    self._check(identity)
    self.owners[identity] = newOwner
    self.owned[identity] = True
    log DIDOwnerChanged(identity=identity, owner=newOwner, previousChange=self.changed[identity])
    self.changed[identity] = block.number


@external
def addDelegate(identity: address, delegateType: bytes32, delegate: address, validity: uint256):
    self._check(identity)
    log DIDDelegateChanged(
        identity=identity, delegateType=delegateType, delegate=delegate, validTo=block.timestamp + validity,
        previousChange=self.changed[identity],
    )
    self.changed[identity] = block.number


@external
def setAttribute(identity: address, name: bytes32, content: Bytes[1024], validity: uint256):
    self._check(identity)
    log DIDAttributeChanged(
        identity=identity, name=name, value=content, validTo=block.timestamp + validity,
        previousChange=self.changed[identity],
    )
    self.changed[identity] = block.number


@external
def revokeAttribute(identity: address, name: bytes32, content: Bytes[1024]):
    self._check(identity)
    log DIDAttributeChanged(identity=identity, name=name, value=content, validTo=0, previousChange=self.changed[identity])
    self.changed[identity] = block.number
