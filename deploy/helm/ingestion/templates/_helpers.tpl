{{- define "ingestion.labels" -}}
app.kubernetes.io/part-of: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
{{- end }}

{{- define "ingestion.image" -}}
{{- with .root.Values.image }}
image: {{ if .registry }}{{ .registry }}/{{ end }}rule-engine-nats/{{ $.name }}:{{ .tag }}
imagePullPolicy: {{ .pullPolicy }}
{{- end }}
{{- end }}

{{- define "ingestion.environment" -}}
- name: ConnectionStrings__rules
  valueFrom: { secretKeyRef: { name: {{ .Values.existingSecret }}, key: rules } }
- name: ConnectionStrings__nats
  valueFrom: { secretKeyRef: { name: {{ .Values.existingSecret }}, key: nats } }
- name: Secrets__ActiveKey
  value: main
- name: Secrets__Keys__main
  valueFrom: { secretKeyRef: { name: {{ .Values.existingSecret }}, key: secrets-key } }
- name: Kestrel__Endpoints__http__Url
  value: http://0.0.0.0:8080
- name: Ingestion__Streams__Replicas
  value: {{ .Values.streams.replicas | quote }}
- name: Ingestion__Entities__Folder
  value: /etc/ingestion/entities
{{- end }}

{{/* Liveness asks the process alone: an outage of PostgreSQL or NATS restarts nothing. */}}
{{- define "ingestion.probes" -}}
startupProbe:
  httpGet: { path: /health/live, port: http }
  periodSeconds: 2
  failureThreshold: 60
livenessProbe:
  httpGet: { path: /health/live, port: http }
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
{{- end }}
