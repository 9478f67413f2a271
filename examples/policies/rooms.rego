# Rooms hold what people wrote, so no plan may delete one, not even to make it again.
package meshagent.rooms

deny contains {"msg": "rooms are not deleted by a plan", "object": operation.address} if {
	some operation in input.operations
	operation.key.kind == "Room"
	operation.action == "delete"
}
