{% extends "python/run.py" %}
{% block interpreter %}
def make_interpreter(arguments):
    return cpu_interpreter(arguments.threads), "CPU"
{% endblock %}
