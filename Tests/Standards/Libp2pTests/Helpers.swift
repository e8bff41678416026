import Testing

/// `#expect` does not take calls of mutating methods; arguments of a function do.
func expectEqual<T: Equatable>(_ a: T, _ b: T, sourceLocation: SourceLocation = #_sourceLocation) {
    #expect(a == b, sourceLocation: sourceLocation)
}
