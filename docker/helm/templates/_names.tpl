{{- define "inkstream.selector" -}}
app.kubernetes.io/name: inkstream
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "inkstream.labels" -}}
{{ include "inkstream.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}
