package vaultsync

import "encoding/json"

// MarshalJSON writes the documented form: {"mounts": […]}, each as [MountReport.MarshalJSON]
// writes it.
func (r *Report) MarshalJSON() ([]byte, error) {
	mounts := r.Mounts
	if mounts == nil {
		mounts = []*MountReport{}
	}
	return json.Marshal(map[string]any{"mounts": mounts})
}

type failureJSON struct {
	Cluster string `json:"cluster"`
	Region  string `json:"region"`
	Kept    int    `json:"kept"`
	Error   string `json:"error"`
}

type mountJSON struct {
	MountID
	Changed  bool          `json:"changed"`
	Written  int           `json:"written"`
	Add      []Key         `json:"add"`
	Adopt    []Key         `json:"adopt"`
	Keep     []Key         `json:"keep"`
	Remove   []Key         `json:"remove"`
	Claimed  []Key         `json:"claimed"`
	Foreign  []Key         `json:"foreign"`
	Skipped  []Key         `json:"skipped"`
	Failed   []failureJSON `json:"failed"`
	Warnings []string      `json:"warnings"`
	Settings []Change      `json:"settings"`
	Error    string        `json:"error,omitempty"`
}

// MarshalJSON writes the mount, whether it was or would be changed, the plan's lists (empty
// ones as []), and the error, if there is one.
func (r *MountReport) MarshalJSON() ([]byte, error) {
	p := r.Plan
	if p == nil {
		p = &Plan{}
	}
	out := mountJSON{
		MountID: r.MountID, Changed: p.Changed, Written: r.Written,
		Add: list(p.Add), Adopt: list(p.Adopt), Keep: list(p.Keep), Remove: list(p.Remove),
		Claimed: list(p.Claimed), Foreign: list(p.Foreign), Skipped: list(p.Skipped),
		Failed: []failureJSON{}, Warnings: list(p.Warnings), Settings: list(p.Settings),
	}
	for _, f := range p.Failed {
		out.Failed = append(out.Failed, failureJSON{f.Cluster, f.Region, f.Kept, f.Err.Error()})
	}
	if r.Err != nil {
		out.Error = r.Err.Error()
	}
	return json.Marshal(out)
}

// list makes a nil slice an empty one, so that it is written as [].
func list[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}
