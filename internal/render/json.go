package render

import (
	"bytes"
	"encoding/json"

	"github.com/jwksharvest/harvest/internal/setup"
	"github.com/jwksharvest/harvest/internal/status"
	"github.com/jwksharvest/harvest/pem"
	"github.com/jwksharvest/harvest/vaultsync"
)

// Hint returns what to do about an error of a mount, or of a cluster there; m is nil for an error
// of a cluster alone. "" is nothing.
type Hint func(m *vaultsync.MountReport, err error) string

// cause is what a program goes by where something failed.
type cause struct {
	Error string `json:"error,omitempty"`
	Kind  string `json:"kind,omitempty"`
	Hint  string `json:"hint,omitempty"`
}

func (h Hint) cause(m *vaultsync.MountReport, err error) cause {
	if err == nil {
		return cause{}
	}
	return cause{err.Error(), vaultsync.Kind(err), h(m, err)}
}

type clusterJSON struct {
	Cluster string `json:"cluster"`
	Region  string `json:"region"`
	InSync  bool   `json:"in_sync"` // it was read, and no mount left any of it out
	cause
}

type failureJSON struct {
	Cluster string `json:"cluster"`
	Region  string `json:"region"`
	Kept    int    `json:"kept"`
	cause
}

// ReportJSON writes what plan and sync did, of these mounts of the report.
func (o *Output) ReportJSON(r *vaultsync.Report, mounts []*vaultsync.MountReport, hint Hint) error {
	all := []json.RawMessage{}
	for _, m := range mounts {
		one, err := mountJSON(m, hint)
		if err != nil {
			return err
		}
		all = append(all, one)
	}
	o.JSON(struct {
		Clusters []clusterJSON     `json:"clusters"`
		Mounts   []json.RawMessage `json:"mounts"`
	}{clustersJSON(r, hint), all})
	return nil
}

// StatusJSON writes statuses, which are of the report's mounts.
func (o *Output) StatusJSON(r *vaultsync.Report, statuses []*status.Mount, hint Hint) {
	for i, s := range statuses {
		s.Hint = hint.cause(r.Mounts[i], s.Err).Hint
		for j := range s.Failed {
			s.Failed[j].Hint = hint.cause(r.Mounts[i], s.Failed[j].Err).Hint
		}
	}
	o.JSON(struct {
		Clusters []clusterJSON   `json:"clusters"`
		Mounts   []*status.Mount `json:"mounts"`
	}{clustersJSON(r, hint), statuses})
}

func clustersJSON(r *vaultsync.Report, hint Hint) []clusterJSON {
	failed := map[pem.Owner]bool{}
	for _, m := range r.Mounts {
		if m.Plan != nil {
			for _, f := range m.Plan.Failed {
				failed[f.Owner] = true
			}
		}
	}
	all := []clusterJSON{}
	for _, c := range r.Clusters {
		owner := pem.Owner{Cluster: c.Cluster, Region: c.Region}
		all = append(all, clusterJSON{c.Cluster, c.Region, c.Err == nil && !failed[owner], hint.cause(nil, c.Err)})
	}
	return all
}

// mountJSON is what the library writes of a mount, and besides whether it is in sync, and the kind
// of each error and what to do about it.
func mountJSON(m *vaultsync.MountReport, hint Hint) (json.RawMessage, error) {
	body, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	failed := []failureJSON{}
	if m.Plan != nil {
		for _, f := range m.Plan.Failed {
			failed = append(failed, failureJSON{f.Cluster, f.Region, f.Kept, hint.cause(m, f.AsError())})
			failed[len(failed)-1].Error = f.Err.Error() // which needn't name the cluster
		}
	}
	why := hint.cause(m, m.Err)
	return with(body, map[string]any{"failed": failed}, struct {
		InSync bool   `json:"in_sync"`
		Kind   string `json:"kind,omitempty"`
		Hint   string `json:"hint,omitempty"`
	}{m.InSync(), why.Kind, why.Hint})
}

// with returns an object with other values for some members, and with the members of another at its
// end. The order stays.
func with(object []byte, other map[string]any, more any) (json.RawMessage, error) {
	decoder := json.NewDecoder(bytes.NewReader(object))
	if _, err := decoder.Token(); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	b.WriteByte('{')
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			return nil, err
		}
		var value any = new(json.RawMessage)
		if err := decoder.Decode(value); err != nil {
			return nil, err
		}
		if o, ok := other[name.(string)]; ok { //nolint:errcheck // a member's name
			value = o
		}
		text, err := json.Marshal(value)
		if err != nil {
			return nil, err
		}
		quoted, _ := json.Marshal(name)
		b.Write(append(append(quoted, ':'), append(text, ',')...))
	}
	rest, err := json.Marshal(more)
	if err != nil {
		return nil, err
	}
	if len(rest) == len("{}") {
		b.Truncate(b.Len() - 1) // the comma
	}
	b.Write(rest[1:])
	return b.Bytes(), nil
}

// SetupJSON writes what setups propose, their keys as ReportJSON has them.
func (o *Output) SetupJSON(proposals []*setup.Proposal, hint Hint) error {
	all := []json.RawMessage{}
	for _, p := range proposals {
		one, err := json.Marshal(p)
		if err == nil && p.Report != nil {
			var keys json.RawMessage
			if keys, err = mountJSON(p.Report, hint); err == nil {
				one, err = with(one, map[string]any{"keys": keys}, struct{}{})
			}
		}
		if err != nil {
			return err
		}
		all = append(all, one)
	}
	o.JSON(map[string]any{"mounts": all})
	return nil
}
