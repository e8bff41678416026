import DSIPMessaging
import Foundation
import MessagingSimulation

// A first conversation.
let world = SimulatedWorld(seed: 1)
let (alice, bob) = (world.person("alice"), world.person("bob"))
let a = try world.device(alice)
let b = try world.device(bob)
try world.run(10)
let thread = try world.act(a) { try $0.open(with: bob.did, at: world.now) }
_ = try world.act(a) { try $0.send(MessageDraft(text: "hello"), in: thread, at: world.now) }
try world.run(10)
for device in [a, b] {
    for record in device.store.conversations() {
        print(device.person.name, record.id, record.kind, record.unread, record.notice as Any, record.isRequest)
        for line in world.messages(device, record.id) { print("   ", line.text, line.state, line.order, line.seq as Any) }
    }
    print(device.errors, device.failures)
}
print(world.service.items.mapValues { $0.map { "\($0.itemClass) \($0.seq ?? 0)" } })
