#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

extension [UInt8] {
    /// Overwrites a secret before its memory is given back.
    ///
    /// Arrays are values: a copy made elsewhere is out of reach. Code that handles secrets therefore keeps one owner for
    /// each and ends its life here; keys held by swift-crypto are zeroised by it.
    mutating func zeroize() {
        withUnsafeMutableBytes { bytes in
            guard let base = bytes.baseAddress else { return }
            // A store that the optimiser may not remove.
            #if canImport(Darwin)
            _ = memset_s(base, bytes.count, 0, bytes.count)
            #else
            explicit_bzero(base, bytes.count)
            #endif
        }
    }
}
