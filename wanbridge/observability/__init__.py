"""What calls report: log lines, OpenTelemetry traces and metrics."""
