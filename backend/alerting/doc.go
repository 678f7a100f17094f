// Package alerting evaluates Prometheus rule files, unmodified, with Prometheus'
// own rule manager over the embedded time series, and keeps acknowledgements
// and silences.
//
// It owns the alerts section and data/alerts.json (acknowledgements and
// silences). It refuses rule files that Prometheus would refuse, with the file,
// line and reason, and continues to use the last good content of such a file.
//
// Watches of logs that have a threshold are rules too: one more rule file, generated
// from the workspace file.
//
// # Who may write
//
// Acknowledgements and silences are changed by actions alone.
//
// # Why a group loader of our own
//
// Prometheus refuses a whole reload for one broken file. During an
// incident the other files must still be loaded, and the broken one's last good
// rules must still fire.
package alerting
