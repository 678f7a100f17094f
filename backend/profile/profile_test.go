package profile

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// listen serves h on a unix socket.
func listen(t *testing.T, h http.Handler) (socket string) {
	t.Helper()
	socket = filepath.Join(t.TempDir(), "s")
	ln, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	srv := &httptest.Server{Listener: ln, Config: &http.Server{Handler: h}}
	srv.Start()
	t.Cleanup(srv.Close)
	return socket
}

func TestEachKindIsWhatItsToolReads(t *testing.T) {
	socket := listen(t, Handler())
	for _, k := range Kinds() {
		var b bytes.Buffer
		if err := Fetch(t.Context(), socket, k, time.Second, &b); err != nil {
			t.Fatalf("%s: %v", k.Name, err)
		}
		switch k.Name {
		case "goroutines":
			if !strings.Contains(b.String(), "TestEachKindIsWhatItsToolReads") {
				t.Errorf("goroutines: %.200s", b.String())
			}
		case "trace":
			if !strings.HasPrefix(b.String(), "go 1.") {
				t.Errorf("trace begins with %.20q", b.String())
			}
		default: // a gzipped protocol buffer
			z, err := gzip.NewReader(&b)
			if err != nil {
				t.Fatalf("%s: %v", k.Name, err)
			}
			if n, err := io.Copy(io.Discard, z); n == 0 || err != nil {
				t.Errorf("%s: %d bytes, %v", k.Name, n, err)
			}
		}
	}
	if err := Fetch(t.Context(), socket, kinds[0], MaxDuration+time.Second, io.Discard); err == nil || !strings.Contains(err.Error(), "seconds=1 to 600 was expected") {
		t.Errorf("for too long: %v", err)
	}
}

func TestNothingIsServedOverTCP(t *testing.T) {
	srv := httptest.NewServer(Handler())
	defer srv.Close()
	for _, k := range Kinds() {
		resp, err := http.Get(srv.URL + Prefix + k.Name + "?seconds=1")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusNotFound {
			t.Errorf("%s over TCP: %s", k.Name, resp.Status)
		}
	}
}

func TestErrorsOfTheEngineSayWhatToDo(t *testing.T) {
	for status, want := range map[int]error{http.StatusForbidden: ErrNotOwner, http.StatusNotFound: ErrOlder} {
		socket := listen(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
		if err := Fetch(t.Context(), socket, kinds[1], 0, io.Discard); !errors.Is(err, want) {
			t.Errorf("%d: got %v, want %v", status, err, want)
		}
	}
	if err := Fetch(t.Context(), filepath.Join(t.TempDir(), "none"), kinds[1], 0, io.Discard); err == nil {
		t.Error("an engine that is not there answers")
	}
}
