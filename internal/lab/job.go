package lab

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Alloc is one allocation of a job.
type Alloc struct {
	ID           string
	ClientStatus string // pending, running, complete, failed, lost
	TaskStates   map[string]struct {
		State  string
		Failed bool
		Events []struct{ Type, DisplayMessage string }
	}
	ModifyIndex uint64
}

// ended reports whether the allocation will not run any more.
func (a Alloc) ended() bool {
	return slices.Contains([]string{"complete", "failed", "lost"}, a.ClientStatus)
}

// RunJob registers a job given as HCL or JSON and returns its id. It doesn't wait for it.
func (n *Nomad) RunJob(ctx context.Context, source string) (id string, err error) {
	return n.RunJobWith(ctx, source, "")
}

// RunJobWith is RunJob with the values of HCL variables, in the form of a file of them.
func (n *Nomad) RunJobWith(ctx context.Context, source, variables string) (id string, err error) {
	var job map[string]any
	if strings.HasPrefix(strings.TrimSpace(source), "{") {
		if err := json.Unmarshal([]byte(source), &job); err != nil {
			return "", err
		}
		if inner, ok := job["Job"].(map[string]any); ok {
			job = inner
		}
	} else {
		in := map[string]any{"JobHCL": source, "Canonicalize": false, "Variables": variables}
		if _, err := n.call(ctx, http.MethodPut, "/v1/jobs/parse", in, &job); err != nil {
			return "", err
		}
	}
	id, _ = job["ID"].(string)
	n.mu.Lock()
	n.jobs = append(n.jobs, id)
	n.mu.Unlock()
	_, err = n.call(ctx, http.MethodPut, "/v1/jobs", map[string]any{"Job": job}, nil)
	return id, err
}

// RunPeriodic starts a run of a periodic job now and returns the id of the run's job.
func (n *Nomad) RunPeriodic(ctx context.Context, id string) (string, error) {
	if _, err := n.call(ctx, http.MethodPut, "/v1/job/"+url.PathEscape(id)+"/periodic/force", nil, nil); err != nil {
		return "", err
	}
	type run struct {
		ID         string
		SubmitTime int64
	}
	var runs []run
	if _, err := n.call(ctx, http.MethodGet, "/v1/jobs?prefix="+url.QueryEscape(id+"/periodic-"), nil, &runs); err != nil {
		return "", err
	}
	if len(runs) == 0 {
		return "", fmt.Errorf("job %s: no run of it was started", id)
	}
	return slices.MaxFunc(runs, func(a, b run) int { return cmp.Compare(a.SubmitTime, b.SubmitTime) }).ID, nil
}

// WaitJob returns the job's newest allocation once it has that client status (running,
// complete). An allocation that ended otherwise is an error that tells the last events.
func (n *Nomad) WaitJob(ctx context.Context, id, status string) (Alloc, error) {
	var last string
	alloc, err := n.watchAllocs(ctx, id, func(allocs []Alloc) (Alloc, bool, error) {
		if len(allocs) == 0 {
			return Alloc{}, false, nil
		}
		newest := allocs[0]
		last = newest.events()
		if newest.ClientStatus == status {
			return newest, true, nil
		}
		if newest.ended() {
			return Alloc{}, false, fmt.Errorf("nomad: job %s: %s, not %s: %s", id, newest.ClientStatus, status, last)
		}
		return Alloc{}, false, nil
	})
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("nomad: job %s isn't %s: %s: %w", id, status, last, err)
	}
	return alloc, err
}

// TaskFile reads a file that a template rendered, such as local/config.txt, once the
// job's task is up and the file is there.
func (n *Nomad) TaskFile(ctx context.Context, job, task, path string) ([]byte, error) {
	var raw []byte
	_, err := n.watchAllocs(ctx, job, func(allocs []Alloc) (Alloc, bool, error) {
		if len(allocs) == 0 || allocs[0].ClientStatus == "pending" {
			return Alloc{}, false, nil
		}
		var err error
		q := url.Values{"path": {task + "/" + path}}
		raw, _, err = n.send(ctx, http.MethodGet, "/v1/client/fs/cat/"+allocs[0].ID+"?"+q.Encode(), nil)
		return allocs[0], err == nil, nil
	})
	return raw, err
}

// StopJob stops a job and returns when its tasks have ended.
func (n *Nomad) StopJob(ctx context.Context, id string) error {
	if _, err := n.call(ctx, http.MethodDelete, "/v1/job/"+url.PathEscape(id), nil, nil); err != nil {
		return err
	}
	_, err := n.watchAllocs(ctx, id, func(allocs []Alloc) (Alloc, bool, error) {
		return Alloc{}, !slices.ContainsFunc(allocs, func(a Alloc) bool { return !a.ended() }), nil
	})
	return err
}

// watchAllocs gives the job's allocations, newest first, to look, again whenever they
// change, until look is satisfied or fails.
func (n *Nomad) watchAllocs(ctx context.Context, job string, look func([]Alloc) (Alloc, bool, error)) (Alloc, error) {
	var index uint64
	for {
		var allocs []Alloc
		path := "/v1/job/" + url.PathEscape(job) + "/allocations?wait=5s&index=" + strconv.FormatUint(index, 10)
		next, err := n.call(ctx, http.MethodGet, path, nil, &allocs)
		if err != nil {
			return Alloc{}, err
		}
		index = next
		slices.SortFunc(allocs, func(a, b Alloc) int { return int(b.ModifyIndex) - int(a.ModifyIndex) })
		if a, ok, err := look(allocs); ok || err != nil {
			return a, err
		}
		select {
		case <-n.Done():
			return Alloc{}, errors.Join(errEnded, errors.New(n.Log()))
		default:
		}
	}
}

// events are the newest messages of each task.
func (a Alloc) events() string {
	var out []string
	for task, s := range a.TaskStates {
		for _, e := range s.Events[max(0, len(s.Events)-3):] {
			out = append(out, fmt.Sprintf("%s: %s: %s", task, e.Type, e.DisplayMessage))
		}
	}
	return strings.Join(out, "; ")
}

// stopJobs ends the tasks before the agent, whose executors would outlive it.
func (n *Nomad) stopJobs() {
	n.mu.Lock()
	jobs := n.jobs
	n.jobs = nil
	n.mu.Unlock()
	select {
	case <-n.Done():
		return
	default:
	}
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	for _, id := range jobs {
		_ = n.StopJob(ctx, id)
	}
}
