package fakevault

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strings"
)

// answer is what a handler decided: data, an auth block or an error.
type answer struct {
	status int
	data   map[string]any
	auth   map[string]any
	flat   bool // the data stands at the top level too, as some of sys does
	raw    any  // the whole body, where it has no envelope
	errors []string
	kind   string // mount_type
}

func done() answer                       { return answer{status: http.StatusNoContent} }
func found(data map[string]any) answer   { return answer{status: http.StatusOK, data: data} }
func bare(body any, status int) answer   { return answer{status: status, raw: body} }
func notFound() answer                   { return answer{status: http.StatusNotFound, errors: []string{}} }
func badRequest(message string) answer   { return refused(http.StatusBadRequest, message) }
func granted(auth map[string]any) answer { return answer{status: http.StatusOK, auth: auth} }

func refused(status int, message string) answer {
	return answer{status: status, errors: []string{message}}
}

// multi is refused in the words of Vault's collected errors.
func multi(status int, message string) answer {
	return refused(status, "1 error occurred:\n\t* "+message+"\n\n")
}

func noRoute(path string) answer {
	return refused(http.StatusNotFound, fmt.Sprintf("no handler for route %q. route entry not found.", path))
}

func (a answer) write(w http.ResponseWriter) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(a.status)
	if a.status == http.StatusNoContent {
		return
	}
	var body any
	switch {
	case a.errors != nil:
		body = map[string]any{"errors": a.errors}
	case a.raw != nil:
		body = a.raw
	default:
		envelope := map[string]any{
			"request_id": newID(), "lease_id": "", "renewable": false, "lease_duration": 0,
			"wrap_info": nil, "warnings": nil, "data": nil, "auth": nil, "mount_type": a.kind,
		}
		if a.data != nil {
			envelope["data"] = a.data
		}
		if a.auth != nil {
			envelope["auth"] = a.auth
		}
		if a.flat {
			maps.Copy(envelope, a.data)
		}
		body = envelope
	}
	_ = json.NewEncoder(w).Encode(body)
}

func clean(path string) string { return strings.Trim(path, "/") }

func copyMap(m map[string]any) map[string]any {
	if m == nil {
		return nil
	}
	return maps.Clone(m)
}

func newID() string {
	b := make([]byte, 16)
	if _, err := rand.Read(b); err != nil {
		panic(err)
	}
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
