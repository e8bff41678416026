import Encoding
import Ethereum
import Testing

@Suite("Ethereum’s formats") struct EthereumTests {
    @Test(
        "Keccak-256 of published messages",
        arguments: [
            // The Keccak submission's test values, and Ethereum's own.
            ("", "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"),
            ("abc", "4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45"),
            (
                "The quick brown fox jumps over the lazy dog",
                "4d741b6f1eb29cb2a9b9911c82f56fa8d73b04959d3d9d222895df6c0b28aa15"
            ),
            ("Transfer(address,address,uint256)", "ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"),
        ]
    )
    func keccak(message: String, digest: String) {
        #expect(Hex.encode(Keccak256.hash(message.utf8)) == digest)
    }

    @Test("Keccak-256 is the same whatever the length, up to and beyond one block")
    func lengths() {
        // A single-block message, a full block, and one byte more differ from each other and from their neighbours.
        let digests = Set((130...140).map { Hex.encode(Keccak256.hash([UInt8](repeating: 0x61, count: $0))) })
        #expect(digests.count == 11)
    }

    @Test(
        "addresses carry the checksum of EIP-55",
        arguments: [
            "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
            "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB", "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
        ]
    )
    func checksum(text: String) throws {
        let address = try #require(EthereumAddress(text))
        #expect(address.description == text)
        #expect(EthereumAddress(address.lowercased) == address)
        let broken = text.dropLast() + (text.last!.isUppercase ? text.last!.lowercased() : text.last!.uppercased())
        #expect(text.last!.isNumber || EthereumAddress(String(broken)) == nil)
    }

    @Test("what is no address is refused")
    func noAddress() {
        for text in [
            "", "0x", "5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed00", "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAe",
        ] {
            #expect(EthereumAddress(text) == nil)
        }
    }

    @Test("a key leads to its address", .enabled(if: Secp256k1() != nil, "libsecp256k1 is not installed"))
    func key() throws {
        // The generator, which is the key of the secret 1, and the address that everybody knows for it.
        let generator = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"
        let key = try #require(Hex.decode(generator))
        let point = try #require(Secp256k1()?.point(of: key))
        #expect(Hex.encode(point.suffix(32)) == "483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8")
        #expect(EthereumAddress(point: point)?.description == "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf")
        #expect(Secp256k1()?.point(of: [2] + [UInt8](repeating: 0xff, count: 32)) == nil)
        #expect(Secp256k1()?.point(of: []) == nil)
    }

    @Test("words outside an encoding are not there")
    func bounds() {
        let none = ABIReader([])
        #expect(none.number(0) == nil && none.address(0) == nil && none.dynamic(0) == nil && none.word(-1) == nil)
        let wild = ABIReader([UInt8](repeating: 0xff, count: 64))
        #expect(wild.number(0) == nil && wild.dynamic(0) == nil && wild.saturated(1) == .max && wild.word(.max) == nil)
        // An offset that points at a length longer than what is left.
        var beyond = [UInt8](repeating: 0, count: 64)
        (beyond[31], beyond[63]) = (32, 1)
        #expect(ABIReader(beyond).dynamic(0) == nil)
        beyond[63] = 0
        #expect(ABIReader(beyond).dynamic(0) == [])
        #expect(ABIReader(Array("veriKey".utf8) + [UInt8](repeating: 0, count: 25)).shortText(0) == "veriKey")
    }

    @Test("a call is the hash’s first bytes and its arguments")
    func call() throws {
        // ERC-20's selector, which everybody knows.
        #expect(Hex.encode(ABICall.data("transfer(address,uint256)")) == "a9059cbb")
        let address = try #require(EthereumAddress("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"))
        #expect(ABICall.argument(address).count == 32)
    }
}
