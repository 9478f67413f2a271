# Containers run images of these registries and owners only. A name without a host is one
# of Docker Hub; a service without a container runs elsewhere.
package meshagent.images

allowed := [
	"meshagent/",
	"us-central1-docker.pkg.dev/meshagent-public/",
	"registry.example.com/",
]

deny contains {"msg": msg, "object": operation.address} if {
	some operation in input.operations
	image := operation.fields.container.image
	not is_allowed(image)
	msg := sprintf("the image %s is of none of %s", [image, concat(", ", allowed)])
}

is_allowed(image) if {
	some prefix in allowed
	startswith(image, prefix)
}
