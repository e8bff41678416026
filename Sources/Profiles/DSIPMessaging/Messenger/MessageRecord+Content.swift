import DSIPIdentity
import Encoding

extension MessageRecord {
    /// Content as a line.
    init(_ content: Content, _ said: Saying, mine: Bool) {
        self.init(
            id: content.id,
            conversation: said.thread,
            sender: content.sender,
            isMine: mine,
            kind: .unsupported,
            purpose: content.purpose.effective,
            sentAt: content.sentAt,
            receivedAt: said.receivedAt,
            order: said.order,
            state: mine ? .accepted : .received
        )
        group = said.group
        seq = said.seq
        fill(content.body)
        attachment?.sources = said.blobs.map(\.uri)
        mentions = content.extensions.mentions
        disappearAfter = content.extensions.disappearAfter
        session = content.session
        if let reference = attachment?.reference {
            attachment?.sources = BlobFetch.sources(of: reference, manifest: said.blobs)
        }
    }

    mutating func fill(_ body: ContentBody) {
        switch body {
        case .text(let said, let type):
            kind = .text
            text = said
            contentType = type ?? "text/plain"
        case .audio(let blob, let milliseconds): attach(.audio, blob, duration: milliseconds)
        case .video(let blob, let milliseconds): attach(.video, blob, duration: milliseconds)
        case .image(let image):
            attach(.image, image.blob)
            attachment?.width = image.width
            attachment?.height = image.height
            attachment?.thumbnail = image.thumbnail
        case .file(let blob, let name):
            attach(.file, blob)
            attachment?.name = name
        case .contact(let did, let name, _):
            kind = .contact
            contact = did
            text = name ?? ""
        case .location(let place):
            kind = .location
            location = place
        case .unknown(_, let blob?): attach(.file, blob)
        case .deviceEvent, .alarmAcknowledgement, .unknown(_, nil): kind = .unsupported
        }
    }

    private mutating func attach(_ kind: Kind, _ blob: ContentBlob, duration: Int64? = nil) {
        self.kind = kind
        contentType = blob.contentType
        attachment = Attachment(
            name: blob.name,
            contentType: blob.contentType,
            size: blob.reference.size,
            duration: duration,
            waveform: [],
            state: .none,
            reference: blob.reference,
            key: blob.key,
            sources: [blob.reference.uri],
            attempts: 0
        )
    }
}
