# What strangers can reach has somebody who answers for it, and what runs can be found.
package meshagent.reach

deny contains {"msg": msg, "object": operation.address} if {
	some operation in input.operations
	operation.key.kind == "Mailbox"
	operation.fields.public
	not operation.fields.metadata.annotations["example.com/owner"]
	msg := "a public mailbox needs the annotation example.com/owner"
}

warn contains {"msg": msg, "object": operation.address} if {
	some operation in input.operations
	operation.key.kind == "Service"
	operation.fields
	not operation.fields.metadata.annotations["meshagent.service.id"]
	msg := "a service should declare the annotation meshagent.service.id"
}
