import Encoding

/// The parameters of one request, read with clear errors.
public struct Parameters: Sendable {
    let object: JSONObject

    /// - Throws: `.badRequest` unless `value` is an object (or absent).
    public init(_ value: JSONValue?) throws(AgentError) {
        switch value {
        case nil, .null: object = JSONObject()
        case .object(let object): self.object = object
        default: throw AgentError(.badRequest, "The parameters must be a JSON object.")
        }
    }

    private func present(_ name: String) -> JSONValue? {
        guard let value = object[name], !value.isNull else { return nil }
        return value
    }

    /// - Parameter limit: bytes of UTF-8.
    public func optionalString(_ name: String, limit: Int = 2048) throws(AgentError) -> String? {
        guard let value = present(name) else { return nil }
        guard let text = value.string else { throw AgentError(.badRequest, "“\(name)” must be a string.") }
        guard text.utf8.count <= limit else {
            throw AgentError(.badRequest, "“\(name)” is too long: at most \(limit) bytes.")
        }
        return text
    }

    public func string(_ name: String, limit: Int = 2048) throws(AgentError) -> String {
        guard let text = try optionalString(name, limit: limit) else {
            throw AgentError(.badRequest, "“\(name)” is missing.")
        }
        return text
    }

    /// A string with something in it once the spaces around it are gone.
    public func text(_ name: String, limit: Int = 200) throws(AgentError) -> String {
        let text = try string(name, limit: limit).trimmed
        guard !text.isEmpty else { throw AgentError(.badRequest, "“\(name)” must not be empty.") }
        return text
    }

    public func optionalBool(_ name: String) throws(AgentError) -> Bool? {
        guard let value = present(name) else { return nil }
        guard let bool = value.bool else { throw AgentError(.badRequest, "“\(name)” must be true or false.") }
        return bool
    }

    public func optionalInteger(_ name: String) throws(AgentError) -> Int64? {
        guard let value = present(name) else { return nil }
        guard let int = value.int else { throw AgentError(.badRequest, "“\(name)” must be a whole number.") }
        return int
    }

    public func strings(_ name: String, count: ClosedRange<Int>) throws(AgentError) -> [String] {
        guard let array = present(name)?.array, count.contains(array.count) else {
            throw AgentError(
                .badRequest,
                "“\(name)” must be a list of \(count.lowerBound) to \(count.upperBound) strings."
            )
        }
        var texts: [String] = []
        for element in array {
            guard let text = element.string, text.utf8.count <= 256 else {
                throw AgentError(.badRequest, "“\(name)” must hold strings only.")
            }
            texts.append(text)
        }
        return texts
    }

    public func value(_ name: String) -> JSONValue? { present(name) }
}

extension StringProtocol {
    /// Without the white space around it.
    var trimmed: String {
        var slice = self[startIndex..<endIndex]
        while let first = slice.first, first.isWhitespace { slice = slice.dropFirst() }
        while let last = slice.last, last.isWhitespace { slice = slice.dropLast() }
        return String(slice)
    }
}
