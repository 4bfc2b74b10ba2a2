package vaultsync

import (
	"bytes"
	"encoding/json"

	"github.com/jwksharvest/harvest/vaultsync/plan"
)

// MarshalJSON writes the documented form: {"mounts": […]}, each as [MountReport.MarshalJSON]
// writes it.
func (r *Report) MarshalJSON() ([]byte, error) {
	mounts := r.Mounts
	if mounts == nil {
		mounts = []*MountReport{}
	}
	return json.Marshal(map[string]any{"mounts": mounts})
}

// MarshalJSON writes the mount, how often it was written, the plan as [plan.Plan] writes it, and
// any error. It can be read back as a plan.
func (r *MountReport) MarshalJSON() ([]byte, error) {
	p := r.Plan
	if p == nil {
		p = &plan.Plan{}
	}
	ends := struct {
		Error string `json:"error,omitempty"`
	}{}
	if r.Err != nil {
		ends.Error = r.Err.Error()
	}
	return joinJSON(r.MountID, struct {
		Written int `json:"written"`
	}{r.Written}, p, ends)
}

// joinJSON writes the fields of several objects as those of one.
func joinJSON(objects ...any) ([]byte, error) {
	var fields [][]byte
	for _, object := range objects {
		text, err := json.Marshal(object)
		if err != nil {
			return nil, err
		}
		if inner := text[1 : len(text)-1]; len(inner) > 0 {
			fields = append(fields, inner)
		}
	}
	return append(append([]byte{'{'}, bytes.Join(fields, []byte{','})...), '}'), nil
}
