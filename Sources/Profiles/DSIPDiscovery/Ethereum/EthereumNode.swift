import DSIPIdentity
import Encoding
import Ethereum

/// A node of an Ethereum network that somebody chose to believe. What it says is not verified: there is no light client here.
public protocol EthereumNode: Sendable {
    /// One question of the execution API (JSON-RPC 2.0).
    ///
    /// - Returns: the member `result`.
    /// - Throws: `.unreachable` when it does not answer or answers with an error, `.unsupported` for what a contract keeps elsewhere, `.malformed`,
    ///   `.tooLarge`.
    func ask(_ method: String, _ parameters: [JSONValue]) async throws(IdentityError) -> JSONValue
}

/// A node behind an `https` URL.
public struct EthereumEndpoint: EthereumNode {
    /// Posts bytes to a URL, and reads an answer of at most so many.
    public typealias Post =
        @Sendable (_ url: String, _ body: [UInt8], _ limit: Int) async throws(IdentityError) ->
        FetchedDocument

    /// Bytes of an answer.
    public static let limit = 1 << 20
    /// The selector of `OffchainLookup(address,string[],bytes,bytes4,bytes)` (ERC-3668).
    private static let offchainLookup = "0x556f1830"
    private static let limits = JSONDocument.Limits(bytes: limit, depth: 16, members: 32_768)

    private let url: String
    private let post: Post

    public init(_ url: String, post: @escaping Post) { (self.url, self.post) = (url, post) }

    public func ask(_ method: String, _ parameters: [JSONValue]) async throws(IdentityError) -> JSONValue {
        let request: JSONValue = [
            "jsonrpc": "2.0", "id": 1, "method": .string(method), "params": .array(parameters),
        ]
        let fetched = try await post(url, request.utf8, EthereumEndpoint.limit)
        guard let json = try? JSONValue(tolerating: fetched.body, limits: EthereumEndpoint.limits) else {
            throw IdentityError(
                .malformed,
                "the Ethereum node answered with what is no JSON (HTTP status \(fetched.status))"
            )
        }
        if let error = json["error"], !error.isNull {
            // Nodes put what a contract returned as its failure into `data`.
            guard error["data"]?.string?.hasPrefix(EthereumEndpoint.offchainLookup) != true else {
                throw IdentityError(
                    .unsupported,
                    "the contract keeps it off the ledger, behind a gateway (CCIP-read), which is not asked"
                )
            }
            let message = String((error["message"]?.string ?? "no reason given").prefix(120))
            throw IdentityError(.unreachable, "the Ethereum node refused: \(message)")
        }
        guard fetched.status == 200, json["id"]?.int == 1, let result = json["result"] else {
            throw IdentityError(.malformed, "the Ethereum node answered with HTTP status \(fetched.status)")
        }
        return result
    }
}

extension EthereumNode {
    /// Reads what a contract says, as of `block`.
    func call(_ contract: EthereumAddress, _ data: [UInt8], at block: Int64) async throws(IdentityError) -> ABIReader {
        let call: JSONValue = ["to": .string(contract.lowercased), "data": .string(Quantity.data(data))]
        let result = try await ask("eth_call", [call, .string(Quantity.text(block))])
        guard let bytes = result.string.flatMap(Quantity.bytes) else {
            throw IdentityError(.malformed, "the Ethereum node answered with what is no data")
        }
        return ABIReader(bytes)
    }

    func number(_ method: String) async throws(IdentityError) -> Int64 {
        guard let number = try await ask(method, []).string.flatMap(Quantity.number) else {
            throw IdentityError(.malformed, "the Ethereum node answered with what is no number")
        }
        return number
    }
}

/// Numbers and bytes as the execution API spells them.
enum Quantity {
    static func text(_ number: Int64) -> String { "0x" + String(number, radix: 16) }
    static func data(_ bytes: [UInt8]) -> String { "0x" + Hex.encode(bytes) }

    static func number(_ text: String) -> Int64? {
        guard text.hasPrefix("0x"), (3...18).contains(text.utf8.count), text.utf8.dropFirst(2).allSatisfy(isDigit)
        else {
            return nil
        }
        return Int64(text.dropFirst(2), radix: 16)
    }

    static func bytes(_ text: String) -> [UInt8]? {
        text.hasPrefix("0x") ? Hex.decode(text.dropFirst(2)) : nil
    }

    private static func isDigit(_ byte: UInt8) -> Bool { byte &- 0x30 < 10 || (byte | 0x20) &- 0x61 < 6 }
}
