import DSIPSignaling
import WebRTC

/// What we hold our own stack to beyond what a peer may refuse. B§2.2
enum OwnDescription {
    static func parse(_ sdp: String, _ check: BindingCheck) throws(MediaBindingError) -> SessionDescription {
        let description: SessionDescription
        do {
            description = try SessionDescription(parsing: sdp)
        } catch {
            throw check.fail(.sdpInvalid, error.description)
        }
        guard !description.isICELite else { throw check.fail(.iceLite, "a=ice-lite") }
        let bundled = Set(description.bundleGroups.first ?? [])
        for (index, section) in check.live(description) where section.mid.map(bundled.contains) != true {
            throw check.fail(.bundleMissing, "m= section \(index)")
        }
        return description
    }

    /// The descriptor of a live section, with those of its codecs that both sides have a name for; at least one.
    static func descriptor(
        _ section: MediaSection,
        _ index: Int,
        _ description: SessionDescription,
        _ check: BindingCheck,
        purpose: String?,
        where admits: (String) -> Bool
    ) throws(MediaBindingError) -> MediaDescriptor {
        let codecs = CodecMapping.identifiers(of: section).filter(admits)
        guard !codecs.isEmpty else { throw check.fail(.codecMissing, "m= section \(index)") }
        let direction = description.direction(of: section)
        let descriptor = MediaDescriptor(section, direction: direction, codecs: codecs, purpose: purpose)
        guard let descriptor else { throw check.fail(.extraSection, "m= section \(index)") }
        return descriptor
    }
}
