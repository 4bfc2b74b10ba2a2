package vaultsync

// MountID tells one mount from all others.
type MountID struct {
	Vault     string `json:"vault"`     // address
	Namespace string `json:"namespace"` // "": the root namespace, or a Vault without namespaces
	Path      string `json:"path"`      // without "auth/", such as "jwt-nomad"
}

// ID returns the mount's identity.
func (m *Mount) ID() MountID { return MountID{m.vault(), m.namespace(), m.Path} }

// Title returns "mount" and the mount; of a [Store] its name alone, which says what it is.
func (id MountID) Title() string {
	if id.Vault == "" {
		return id.String()
	}
	return "mount " + id.String()
}

// String returns the mount as people are told of it. What is empty is left out.
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
