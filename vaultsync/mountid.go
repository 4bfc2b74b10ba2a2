package vaultsync

// MountID identifies a mount.
type MountID struct {
	Vault     string `json:"vault"`     // address
	Namespace string `json:"namespace"` // "": the root namespace, or a Vault without namespaces
	Path      string `json:"path"`      // without "auth/", such as "jwt-nomad"
}

// ID returns the mount's identity.
func (m *Mount) ID() MountID { return MountID{m.vault(), m.namespace(), m.Path} }

// title returns "mount" and the mount; for a [Store] only its name, which says what it is.
func (id MountID) title() string {
	if id.Vault == "" {
		return id.String()
	}
	return "mount " + id.String()
}

// String returns the mount for people to read, without what is empty.
func (id MountID) String() string {
	name := id.Path
	if id.Namespace != "" {
		name += " in namespace " + id.Namespace
	}
	if id.Vault != "" {
		name += " at " + id.Vault
	}
	return name
}
